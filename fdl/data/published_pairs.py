"""Published pairs of texts: words with their pronunciations, and translations.

- cmudict: the CMU Pronouncing Dictionary, words to phones without stress. 12,000 words
  are the test part and 2,670 the validation part, the first ones by the sha256 of the
  word, since the word lists of published results are not available.
- multi30k-de-en: captions of photographs, German to English (Elliott et al., 2016,
  arXiv:1605.00459), in lower case, as in the literature. The test part is that of 2016.
"""

import dataclasses
import hashlib
import importlib.metadata
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from fdl.arrays import DataError
from fdl.data.archived import Archived
from fdl.data.archives import Archive, Contents, File
from fdl.data.dataset import Dataset
from fdl.data.own import Part
from fdl.data.pairing import assemble_pairs
from fdl.data.source import Status
from fdl.untrusted import gunzip

_TEST_WORDS, _VALIDATION_WORDS = 12_000, 2_670  # as in published work
_MOST_LETTERS, _MOST_PHONES = 20, 19
_MOST_BYTES = 1 << 23  # of a text of Multi30k, once unpacked
_LINE = re.compile(r"^([a-z']+)(?:\(\))? ([A-Z ]+)", re.MULTILINE)
_FIGURES = str.maketrans("", "", "0123456789")


@dataclasses.dataclass(frozen=True)
class PublishedPairs(Archived):
    """Pairs of texts that are published as files.

    Attributes:
        columns: Names of sources and targets.
        units: Units of sources and targets.
        package: A Python package that also contains the files; it is not imported.
    """

    columns: tuple[str, ...] = ("source", "target")
    units: tuple[str, ...] = ("words", "words")
    package: str | None = None

    def _dataset(self, contents: Contents, source: str) -> Dataset:
        return assemble_pairs(
            contents[0],
            name=self.name,
            title=self.archive.title,
            source="; ".join((source, *contents[1])),  # with notes
            columns=self.columns,
            units=self.units,
            like=self.like,
        )

    def status(self, data_dir: Path | None) -> Status:
        """Look for files by name."""
        found = super().status(data_dir)
        if found.available or self.package is None:
            return found
        return found._replace(where=f"{found.where}, or pip install {self.package}")

    def _not_found(self, tried: list[str]) -> str:
        said = super()._not_found(tried)
        return f"{said}\n  - pip install {self.package}" if self.package else said

    def _folders(self, data_dir: Path | None) -> Iterator[tuple[Path, bool]]:
        yield from super()._folders(data_dir)
        try:
            files = importlib.metadata.files(self.package) if self.package else None
        except importlib.metadata.PackageNotFoundError:
            return
        for file in files or ():
            if file.name == self.archive.files[0].name:
                yield Path(str(file.locate())).parent, False


def _cmudict(files: Mapping[str, bytes]) -> Contents:
    """Read the dictionary, without the longest entries."""
    (data,) = files.values()
    pronounced: dict[str, dict[str, None]] = {}
    left_out = 0
    # Digits mark stress, and second pronunciations: "AH0", "read(2)".
    for word, phones in _LINE.findall(data.decode().translate(_FIGURES)):
        phones = phones.rstrip()  # before a comment
        if len(word) > _MOST_LETTERS or phones.count(" ") >= _MOST_PHONES:
            left_out += 1
        else:
            pronounced.setdefault(word, {})[phones] = None  # once, without stress
    drawn = sorted(pronounced, key=lambda word: hashlib.sha256(word.encode()).digest())
    test, validation = _TEST_WORDS, _TEST_WORDS + _VALIDATION_WORDS
    part_of = dict.fromkeys(drawn[:test], "test")
    part_of |= dict.fromkeys(drawn[test:validation], "validation")
    parts = {part: Part([], []) for part in ("train", "validation", "test")}
    for word, several in pronounced.items():
        part = parts[part_of.get(word, "train")]
        for phones in several:
            part.inputs.append(word)
            part.targets.append(phones)
    note = (
        f"{left_out} entries of more than {_MOST_LETTERS} letters or {_MOST_PHONES} "
        "phones left out"
    )
    return parts, (note,)


def _multi30k(files: Mapping[str, bytes]) -> Contents:
    """Read the captions, one per line; each part has two files."""
    texts = {}
    for name, data in files.items():
        try:
            text = gunzip(data, _MOST_BYTES).decode().lower()
        except ValueError as error:
            raise DataError(f"{name}: {error}.") from error
        texts[name.removesuffix(".gz")] = text.rstrip("\n").split("\n")
    names = {"train": "train", "validation": "val", "test": "test_2016_flickr"}
    return {
        part: Part(texts[f"{name}.de"], texts[f"{name}.en"])
        for part, name in names.items()
    }, ()


_SPHINX = "https://raw.githubusercontent.com/cmusphinx/cmudict/master/"
_MULTI30K = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/"

PAIRS = {
    "cmudict": PublishedPairs(
        "cmudict",
        Archive(
            title="CMU Pronouncing Dictionary",
            prepared="",
            folder="cmudict",
            files=(
                File(
                    "cmudict.dict",
                    3_618_488,
                    "81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22",
                    _SPHINX,
                ),
            ),
            read=_cmudict,
            counts=(117_988, 12_838),
        ),
        columns=("word", "phones"),
        units=("letters", "words"),
        package="cmudict",
    ),
    "multi30k-de-en": PublishedPairs(
        "multi30k-de-en",
        Archive(
            title="Multi30k, German to English",
            prepared="",
            folder="multi30k",
            files=(
                File(
                    "train.de.gz",
                    637_044,
                    "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
                    _MULTI30K,
                ),
                File(
                    "train.en.gz",
                    568_929,
                    "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
                    _MULTI30K,
                ),
                File(
                    "val.de.gz",
                    24_681,
                    "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
                    _MULTI30K,
                ),
                File(
                    "val.en.gz",
                    21_650,
                    "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
                    _MULTI30K,
                ),
                File(
                    "test_2016_flickr.de.gz",
                    22_890,
                    "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
                    _MULTI30K,
                ),
                File(
                    "test_2016_flickr.en.gz",
                    21_077,
                    "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
                    _MULTI30K,
                ),
            ),
            read=_multi30k,
            counts=(29_000, 1_000),
        ),
        columns=("German", "English"),
    ),
}
"""The table, by name."""

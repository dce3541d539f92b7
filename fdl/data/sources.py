"""Every dataset by one line: `mnist`, `folder:photos`, `npz:arrays.npz?size=64`, ...

A line is a name, or `SCHEME:PLACE`, with options after a question mark. Lines are
stored with absolute paths, so that they mean the same in every folder.
"""

import dataclasses
import difflib
import importlib
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from fdl.arrays import DataError
from fdl.data import splits
from fdl.data.catalog import CATALOG
from fdl.data.dataset import UNITS, Dataset, DatasetInfo
from fdl.data.source import Source, Status
from fdl.files import expanded
from fdl.plain import FITS

SCHEMES = {
    "folder": "folder:ImageFolder",
    "npz": "npz:ArrayFile",
    "csv": "table:Table",
    "tfds": "prepared_source:Prepared",
    "hf": "parquet:ParquetFolder",
    "tsv": "pair_files:PairTable",
    "text": "text:TextFile",
    "jsonl": "text:TextLines",
}
"""Module and class of the source for each scheme; imported on first use."""


def names() -> tuple[str, ...]:
    """Return the names of the datasets that need no place.

    Example:
        >>> names()
        ('mnist', 'fashion_mnist', 'mnist-5k', 'python-docs', 'kmnist', ...)
    """
    from fdl.data import dates, kim, music, published_pairs
    from fdl.data.archives import ARCHIVES
    from fdl.data.text import NAME

    return (
        *CATALOG,
        NAME,
        *ARCHIVES,
        *kim.SENTENCES,
        *published_pairs.PAIRS,
        dates.NAME,
        *music.MUSIC,
    )


def find(line: str, **options: Any) -> Source:
    """Return the source that a line names.

    Args:
        line: A name of `names()`, or a scheme and a place, such as `folder:photos`;
            with options after a question mark: `folder:photos?size=64&channels=1`,
            `mr?fold=3`.
        options: Options that are not in the line.

    Raises:
        DataError: If there is no such name, scheme or option, or a value is invalid.
            The existence of the data is only checked on loading.

    Example:
        >>> find("mnist").name
        'mnist'
        >>> find("folder:/data/photos", size=64).name
        'folder:/data/photos?size=64'
    """
    given = {name: value for name, value in options.items() if value is not None}
    scheme, colon, rest = line.partition(":")
    if not colon:
        name, query = _parted(line)
        return _named(name, query | given)
    if scheme not in SCHEMES:
        raise DataError(
            f"{line!r}: there is no kind of source {scheme!r}: choose one of "
            f"{', '.join(f'{known}:' for known in SCHEMES)}{_nearest(scheme, SCHEMES)}."
        )
    place, query = _parted(rest)
    if not place:
        raise DataError(f"{line!r} names no place: use {scheme}:PATH.")
    module, _, kind_name = SCHEMES[scheme].partition(":")
    kind = getattr(importlib.import_module(f"fdl.data.{module}"), kind_name)
    known = {field.name for field in dataclasses.fields(kind)}
    known -= {"name", "path", "like"}
    values = _values(f"{scheme}:", known, query | given)
    path = kind.place(place)
    return kind(_line(f"{scheme}:{path}", values), path, **values)


def short_name(line: str) -> str:
    """Return a short name of a dataset, for titles and folders.

    Example:
        >>> short_name("folder:/data/photos?size=64"), short_name("mr?fold=3")
        ('photos', 'mr-fold-3')
    """
    scheme, colon, rest = line.partition(":")
    words = Path(_parted(rest)[0]).stem if colon else line
    words = re.sub(r"[^\w.-]+", "-", words).strip("-.")
    return words or scheme


def load(
    name: str,
    *,
    data_dir: str | Path | None = None,
    validation: float | None = splits.SHARE,
    download: bool = True,
    like: DatasetInfo | None = None,
    **options: Any,
) -> Dataset:
    """Load a dataset, downloading it if necessary.

    For a published dataset, this looks for a directory prepared by TFDS, then for the
    original files, then downloads the files and prepares TFDS's directory from them.
    Every route verifies the contents against known sha256 sums, and holds out the same
    training examples for validation.

    Args:
        name: One of `names()`, or a line such as `folder:photos`; see `find`.
        data_dir: Folder to search first, with the layout of TFDS (`mnist/3.0.1`) or
            torchvision (`MNIST/raw`), or with the original files in it or in `mnist/`.
            Downloads are prepared there. By default TFDS's own folder, `TFDS_DATA_DIR`
            or `~/tensorflow_datasets`.
        validation: Share of the published training examples to hold out, between 0 and
            1, or None to train on all of them. The last ones of MNIST, Fashion-MNIST
            and texts; for other datasets, stratified by class and drawn with a fixed
            seed. A validation part in the data takes precedence over the share.
        download: Whether the network may be used.
        like: Description of another dataset, such as that of a run to evaluate on this
            one. Images of folders then get its size and channels, and texts its
            vocabulary; options such as `target` default to those of its line, if that
            has the same scheme. Classes and columns are matched by name. Nothing is
            held out, and data without a test part become the test part as a whole.
        options: Options of the source, such as `size=64`; see `find`.

    Returns:
        Training, validation and test examples and `info`; the arrays are read-only.

    Raises:
        DataError: If there is no such dataset, or it has a class that `like` lacks; if
            `validation` is not between 0 and 1, or leaves one part empty; if `data_dir`
            does not exist or holds damaged files; or if the dataset cannot be found or
            downloaded, in which case the message lists all places tried and remedies.

    Example:
        >>> data = load("mnist-5k", validation=0.1)
        >>> data.train.image.shape, data.validation.image.shape, data.test.label.shape
        ((3600, 28, 28, 1), (400, 28, 28, 1), (1000,))
        >>> data.info.overlaps
        ('mnist',)
    """
    if validation is not None:
        splits.require_share(validation)
    if like is not None:
        options = options_of(like.name, name) | options
    source = dataclasses.replace(find(name, **options), like=like)
    dataset = source.load(existing(data_dir), download=download)
    if like is not None:
        from fdl.data.matching import match

        dataset, validation = match(dataset, like), None
    if dataset.validation is not None:
        return dataset if validation is not None else splits.join(dataset)
    return splits.split(dataset, validation, source.hold_out)


def status(
    name: str | None = None, *, data_dir: str | Path | None = None
) -> list[Status]:
    """Return whether and where each dataset is on this computer.

    This checks names and sizes of files only; it uses no network, and reads no data
    other than Python's own.

    Args:
        name: The dataset; None for all of `names()`.
        data_dir: As for `load`.

    Example:
        >>> [(s.name, s.available) for s in status("mnist-5k")]
        [('mnist-5k', True)]
    """
    folder = existing(data_dir)
    wanted = names() if name is None else (name,)
    return [find(each).status(folder) for each in wanted]


def prepare(
    name: str,
    *,
    source: str | Path | None = None,
    data_dir: str | Path | None = None,
) -> Path:
    """Write the directory that TFDS would prepare, without TensorFlow.

    TFDS itself reads the result: `tfds.data_source("mnist", data_dir=data_dir)`.

    Args:
        name: A dataset that is published as four original files.
        source: Folder with the four files; by default, the places that `load` searches,
            then a download.
        data_dir: TFDS's root folder, created if necessary; by default `TFDS_DATA_DIR`
            or `~/tensorflow_datasets`.

    Returns:
        The version directory, `<data_dir>/<name>/3.0.1`.

    Raises:
        DataError: If the directory exists already, or the files are not available.

    Example:
        >>> prepare("mnist-5k")
        Traceback (most recent call last):
        ...
        fdl.arrays.DataError: mnist-5k is not published as original files: ...
    """
    root = None if data_dir is None else expanded(str(data_dir))
    return find(name).prepare(existing(source), root)


def existing(folder: str | Path | None) -> Path | None:
    """Return the folder that the user named; raise if it does not exist."""
    if folder is None:
        return None
    path = expanded(str(folder))
    if not path.is_dir():
        raise DataError(
            f"{folder}: there is no such folder. Create it, or choose another."
        )
    return path


def _named(name: str, options: Mapping[str, Any]) -> Source:
    if name not in names():
        raise DataError(
            f"there is no dataset named {name!r}: choose one of {', '.join(names())}"
            f"{_nearest(name, names())}; or name data of your own, such as folder:PATH."
        )
    source = _source(name)
    values = _values(name, source.OPTIONS, options)
    return dataclasses.replace(source, name=_line(name, values), **values)


def _source(name: str) -> Source:
    """Return the source of a name, without options."""
    if name in CATALOG:
        from fdl.data.published import Published
        from fdl.data.sample import Sample

        entry = CATALOG[name]
        return Published(name, entry) if entry.addresses else Sample(name, entry)
    from fdl.data import dates, kim, music, published_pairs
    from fdl.data.archived import Archived
    from fdl.data.archives import ARCHIVES
    from fdl.data.text import PythonDocs

    for table in (kim.SENTENCES, published_pairs.PAIRS, music.MUSIC):
        if name in table:
            return table[name]
    if name == dates.NAME:
        return dates.Dates(name)
    return Archived(name, ARCHIVES[name]) if name in ARCHIVES else PythonDocs(name)


def _values(
    what: str, known: Collection[str], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return parsed options by name."""
    for name in given:
        if not known:
            raise DataError(f"{what} takes no options, but got {name}.")
        if name not in known:
            raise DataError(
                f"{what} has no option {name!r}: choose one of "
                f"{', '.join(sorted(known))}{_nearest(name, known)}."
            )
    return {name: _READ[name](name, given[name]) for name in sorted(given)}


def _line(name: str, values: Mapping[str, Any]) -> str:
    words = [f"{option}={quote(_word(value))}" for option, value in values.items()]
    return f"{name}?{'&'.join(words)}" if words else name


def _parted(rest: str) -> tuple[str, dict[str, Any]]:
    """Split the part of a line after the scheme into place and options."""
    found = re.fullmatch(r"(.*?)\?((?:\w+=[^&?]*)(?:&\w+=[^&?]*)*)", rest, re.DOTALL)
    if found is None:
        return rest, {}
    pairs = (word.partition("=") for word in found[2].split("&"))
    return found[1], {name: unquote(value) for name, _, value in pairs}


def options_of(own: str, other: str) -> dict[str, str]:
    """Return the options that only the first line has; none if schemes differ.

    Example:
        >>> options_of("tsv:a.tsv?source=2&units=words", "tsv:b.tsv?units=letters")
        {'source': '2'}
    """
    kind, _, rest = own.partition(":")
    if not other.startswith(f"{kind}:"):
        return {}
    said = _parted(other.partition(":")[2])[1]
    return {name: x for name, x in _parted(rest)[1].items() if name not in said}


def _nearest(word: str, known: Any) -> str:
    found = difflib.get_close_matches(word, list(known), 1)
    return f" (did you mean {found[0]}?)" if found else ""


def _whole(name: str, value: Any) -> int:
    text = str(value)
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 100_000):
        raise DataError(f"{name}={value!r} must be a whole number of at least 1.")
    return int(text)


def _size(name: str, value: Any) -> tuple[int, int]:
    words = value if isinstance(value, tuple | list) else str(value).split("x")
    if len(words) not in (1, 2):
        raise DataError(f"{name}={value!r} must be 64, or 48x64 (height x width).")
    return _whole(name, words[0]), _whole(name, words[-1])


def _flag(name: str, value: Any) -> bool:
    words = {"true": True, "false": False}
    if str(value).lower() not in words:
        raise DataError(f"{name}={value!r} must be true or false.")
    return words[str(value).lower()]


def _channels(name: str, value: Any) -> int:
    if str(value) not in ("1", "3"):
        raise DataError(f"{name}={value!r} must be 1 (gray) or 3 (color).")
    return int(value)


def _fit(name: str, value: Any) -> str:
    if value not in FITS:
        raise DataError(f"{name}={value!r} must be one of {', '.join(FITS)}.")
    return value


def _units(name: str, value: Any) -> tuple[str, ...]:
    words = tuple(value) if isinstance(value, tuple | list) else value.split("-")
    if len(words) not in (1, 2) or not {*words} <= {*UNITS}:
        one, other = UNITS
        raise DataError(
            f"{name}={value!r} must be {one}, {other}, or one for sources and one for "
            f"targets, such as {one}-{other}."
        )
    return words[0], words[-1]


_READ: dict[str, Callable[[str, Any], Any]] = {
    "size": _size,
    "channels": _channels,
    "skip_bad": _flag,
    "fit": _fit,
    "units": _units,
    "source": lambda name, value: str(value),
    "fold": _whole,
    "target": lambda name, value: str(value),
    "text": lambda name, value: str(value),
}


def _word(value: Any) -> str:
    if isinstance(value, tuple):
        between = "-" if isinstance(value[0], str) else "x"
        return str(value[0]) if value[0] == value[1] else between.join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)

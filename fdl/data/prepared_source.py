"""`tfds:NAME[/CONFIG][:VERSION]`: directories prepared by TensorFlow Datasets."""

import dataclasses
import re
from pathlib import Path, PurePath
from typing import Any

from fdl.arrays import DataError
from fdl.data import prepared_examples, tfds
from fdl.data.dataset import Dataset
from fdl.data.documents import assemble_documents
from fdl.data.own import assemble
from fdl.data.prepared_examples import read_examples
from fdl.data.source import Source, Status
from fdl.plain import Fit

_LINE = re.compile(r"\w[\w.-]*(/[\w.+-]+)?(:\d+\.\d+\.\d+)?")


@dataclasses.dataclass(frozen=True)
class Prepared(Source):
    """A directory prepared by TFDS, with an image or a text, and a class, per example.

    TFDS itself decodes the features, but only known ones; see `fdl.data.prepared`.
    Images that differ in size are resized like those of `folder:`.

    Attributes:
        name: The line that names the source.
        path: `NAME[/CONFIG][:VERSION]`, below the folder of TFDS; the newest version by
            default.
        size: Height and width of the images; None for their own, or the rule of
            `folder:`.
        channels: 1 for gray, 3 for color; None for what the directory declares.
        target: Feature with the class; None for the only one.
        text: Feature with the text; None for the image, or if there is none, the only
            text.
        fit: How `fdl predict` fits photographs to the images: `pad`, `crop`, or `digit`
            if they are framed like those of MNIST.
    """

    path: PurePath
    size: tuple[int, int] | None = None
    channels: int | None = None
    target: str | None = None
    text: str | None = None
    fit: Fit = "pad"

    @classmethod
    def place(cls, text: str) -> PurePath:
        """Return the text unchanged, since it is not a path on this computer."""
        if not _LINE.fullmatch(text):
            raise DataError(
                f"'tfds:{text}' must be tfds:NAME, tfds:NAME/CONFIG or "
                "tfds:NAME/CONFIG:1.0.0."
            )
        return PurePath(text)

    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Decode all examples."""
        version = find_version(str(self.path), data_dir or tfds.default_root())
        size, channels = self.like_image(self.size, self.channels)
        found = read_examples(
            version,
            size=size,
            channels=channels,
            target=self.target,
            text=self.text,
        )
        source = f"TFDS directory {version}"
        if found.passed_over:
            source += f"; ignored: {', '.join(found.passed_over)}"
        about: dict[str, Any] = {
            "name": self.name,
            "title": str(self.path),
            "source": source,
            "like": self.like,
        }
        if found.text is None:
            return assemble(found.parts, class_names=found.names, fit=self.fit, **about)
        return assemble_documents(
            found.parts, class_names=found.names, column=found.text, **about
        )

    def status(self, data_dir: Path | None) -> Status:
        """Read the numbers of examples."""
        title = str(self.path)
        try:
            version = find_version(title, data_dir or tfds.default_root())
            count = prepared_examples.counts(version)
        except DataError as error:
            return Status(self.name, title, 0, 0, False, str(error))
        train = count.get("train", 0) + count.get("validation", 0)
        return Status(self.name, title, train, count.get("test", 0), True, str(version))


def find_version(line: str, root: Path) -> Path:
    """Return the directory of `NAME[/CONFIG][:VERSION]` below the folder of TFDS.

    Raises:
        DataError: If it does not exist; the message lists what does.
    """
    name, _, wanted = line.partition(":")
    folder = root / name
    found = _versions(folder)
    if not found and folder.is_dir():
        configs = [each for each in sorted(folder.iterdir()) if _versions(each)]
        if len(configs) > 1:
            known = ", ".join(f"tfds:{name}/{each.name}" for each in configs)
            raise DataError(
                f"{folder} has several configurations: choose one of {known}."
            )
        if configs:
            folder, found = configs[0], _versions(configs[0])
    if not found:
        there = sorted(
            str(file.parent.parent.relative_to(root))
            for depth in ("*/*", "*/*/*")
            for file in root.glob(f"{depth}/dataset_info.json")
        )
        has = f"it has {', '.join(there)}" if there else "it has none"
        raise DataError(
            f"{name!r} is not among the datasets that TFDS has prepared in {root}; "
            f"{has}. Prepare it with tensorflow_datasets, or set data_dir or "
            "TFDS_DATA_DIR to its folder."
        )
    if wanted and wanted not in found:
        raise DataError(
            f"{folder} has no version {wanted}: choose one of {', '.join(found)}."
        )
    return folder / (wanted or list(found)[-1])


def _versions(folder: Path) -> list[str]:
    """Return the complete versions in a folder, oldest first."""
    names = [
        file.parent.name
        for file in folder.glob("*/dataset_info.json")
        if re.fullmatch(r"\d+\.\d+\.\d+", file.parent.name)
    ]
    return sorted(names, key=lambda name: [int(word) for word in name.split(".")])

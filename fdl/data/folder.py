"""`folder:PATH`: pictures, with a folder for each class."""

import dataclasses
import logging
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fdl.arrays import DataError
from fdl.data import pictures
from fdl.data.dataset import Dataset
from fdl.data.decoding import File, Size, decode
from fdl.data.own import PARTS, Part, assemble
from fdl.data.source import Source, Status
from fdl.data.splits import SHARE
from fdl.plain import Fit
from fdl.untrusted import visible

_log = logging.getLogger(__name__)

_PARTS = {name: name for name in PARTS} | {"valid": "validation", "val": "validation"}
_SHOWN = 3  # names in a message


class Listing(NamedTuple):
    """The files of a part, and the label of each."""

    files: list[File]
    labels: list[int]


@dataclasses.dataclass(frozen=True)
class ImageFolder(Source):
    """Pictures, with a folder for each class that has the name of the class.

    The folders are directly below `path`, or below `train`, `validation` and `test` in
    it. PNG, JPEG, WebP, BMP and GIF files are read by `read_picture`, and resized to a
    common size by the rule of `fdl.data.decoding.decode`.

    Attributes:
        name: The line that names the source.
        path: The folder.
        size: Height and width of the images; None to derive them from the pictures.
        channels: 1 for gray, 3 for color; None for gray if all pictures are.
        skip_bad: Leave out pictures that cannot be read.
        fit: How `fdl predict` fits photographs to the images: `pad`, `crop`, or `digit`
            if they are framed like those of MNIST.
    """

    path: Path
    size: Size | None = None
    channels: int | None = None
    skip_bad: bool = False
    fit: Fit = "pad"

    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Read all pictures."""
        names, listings = list_folder(self.path)
        files = [file for part in listings.values() for file in part.files]
        size, channels = self.like_image(self.size, self.channels)
        images, readable, errors = decode(self.path, files, size, channels)
        if errors:
            self._report(errors)
        names_of = np.array([os.path.relpath(file.path, self.path) for file in files])
        parts, found, first = {}, {}, 0
        for part, listing in listings.items():
            rows = slice(first, first + len(listing.files))
            good = readable[rows] if errors else slice(None)
            label = np.array(listing.labels, np.int32)
            parts[part] = Part(images[rows][good], label[good])
            found[part] = names_of[rows][good]
            first += len(listing.files)
        return assemble(
            parts,
            name=self.name,
            title=self.path.name,
            source=f"folder {self.path}",
            class_names=names,
            like=self.like,
            fit=self.fit,
            files=found,
        )

    def status(self, data_dir: Path | None) -> Status:
        """Count the files."""
        try:
            _, listings = list_folder(self.path)
        except DataError as error:
            return Status(self.name, self.path.name, 0, 0, False, str(error))
        count = {part: len(listing.files) for part, listing in listings.items()}
        train = count["train"] + count.get("validation", 0)
        test = count.get("test") or round(train * SHARE)
        train -= 0 if "test" in count else test
        return Status(self.name, self.path.name, train, test, True, str(self.path))

    def _report(self, errors: tuple[str, ...]) -> None:
        first, *more = errors
        others = f" ({len(errors):,} such files)" if more else ""
        if not self.skip_bad:
            raise DataError(
                f"{first.rstrip('.')}{others}. Repair or remove it, or leave such "
                "files out with skip_bad=true (--skip-bad)."
            )
        _log.warning("%s: left out: %s%s", self.path.name, visible(first), others)


def list_folder(path: Path) -> tuple[tuple[str, ...], dict[str, Listing]]:
    """Return the names of the classes, and the pictures of each part.

    Raises:
        DataError: If the folder does not exist, or is not laid out as expected.
    """
    if not path.is_dir():
        raise DataError(f"{path}: there is no such folder of pictures.")
    below = {each.name: Path(each.path) for each in _entries(path) if each.is_dir()}
    in_parts = "train" in below and below.keys() <= _PARTS.keys()
    roots = (
        {_PARTS[name]: folder for name, folder in below.items()}
        if in_parts
        else {"train": path}
    )
    if in_parts and len(roots) < len(below):
        raise DataError(f"{path} has several folders of validation pictures: keep one.")
    found = {part: _classes(roots[part]) for part in PARTS if part in roots}
    names = tuple(sorted({name for classes in found.values() for name in classes}))
    number = {name: index for index, name in enumerate(names)}
    listings = {}
    for part, classes in found.items():
        files = [file for of_class in classes.values() for file in of_class]
        labels = [number[name] for name in classes for _ in classes[name]]
        listings[part] = Listing(files, labels)
    return names, listings


def _classes(root: Path) -> dict[str, list[File]]:
    """Return the pictures of each class in a folder, both sorted by name."""
    below = [Path(each.path) for each in _entries(root) if each.is_dir()]
    if not below:
        raise DataError(
            f"{root} holds no folders: put the pictures of each class in a folder with "
            "its name."
        )
    classes, other = {}, []
    for folder in below:
        files = classes[folder.name] = []
        for each in _entries(folder):
            if each.name.lower().endswith(pictures.SUFFIXES):
                files.append(File(each.path, each.stat()))
            else:
                other.append(f"{folder.name}/{each.name}")
        if not files:
            raise DataError(
                f"{folder} holds no pictures ({', '.join(pictures.FORMATS)}): remove "
                "the folder, or put the pictures of its class in it."
            )
    if other:
        more = f" and {len(other) - _SHOWN:,} more" if len(other) > _SHOWN else ""
        shown = ", ".join(other[:_SHOWN]) + more
        _log.warning("%s: ignored, not pictures: %s", root.name, visible(shown))
    return classes


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        seen = [each for each in entries if not each.name.startswith(".")]
    return sorted(seen, key=lambda each: each.name)

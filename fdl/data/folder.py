"""`folder:PATH`: pictures in a folder for each class."""

import concurrent.futures
import dataclasses
import functools
import logging
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fdl.arrays import DataError
from fdl.data import pictures
from fdl.data.dataset import Dataset
from fdl.data.images import pad_to
from fdl.data.own import PARTS, Part, assemble
from fdl.data.pictures import Picture
from fdl.data.source import Source, Status
from fdl.data.splits import SHARE

_log = logging.getLogger(__name__)

_PARTS = {name: name for name in PARTS} | {"valid": "validation", "val": "validation"}
_LARGEST = 256  # side of pictures that keep their size, if it is that of all
_SIDE = 64  # largest side of pictures that get one
_SHOWN = 3  # names in a message

Size = tuple[int, int]


class Listing(NamedTuple):
    """The files of a part, and the number of the class of each."""

    files: list[Path]
    labels: list[int]


@dataclasses.dataclass(frozen=True)
class ImageFolder(Source):
    """Pictures in a folder for each class, whose name is that of the folder.

    The folders are right below `path`, or below `train`, `validation` and `test` there.
    PNG, JPEG, WebP, BMP and GIF files are read as by `read_picture`.

    Pictures of one size, at most 256 pixels a side, keep it. Otherwise they become
    squares, whose side is the median of the shorter sides, at most 64: each is scaled
    to fit and padded with its background. They are gray if all files are, else colored.

    Attributes:
        name: The line that names it.
        path: The folder.
        size: Height and width of the images; None for the rule above.
        channels: 1 for gray, 3 for color; None for the rule above.
        skip_bad: Leave out pictures that cannot be read.
    """

    path: Path
    size: Size | None = None
    channels: int | None = None
    skip_bad: bool = False

    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Read all pictures."""
        names, listings = list_folder(self.path)
        files = [file for part in listings.values() for file in part.files]
        images, good = self._read(files)
        parts, first = {}, 0
        for part, listing in listings.items():
            rows = slice(first, first + len(listing.files))
            label = np.array(listing.labels, np.int32)
            parts[part] = Part(images[rows][good[rows]], label[good[rows]])
            first += len(listing.files)
        return assemble(
            parts,
            name=self.name,
            title=self.path.name,
            source=f"folder {self.path}",
            class_names=names,
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

    def _read(self, files: list[Path]) -> tuple[np.ndarray, np.ndarray]:
        """Return all images, and which of them could be read."""
        workers = len(os.sched_getaffinity(0))
        with (
            pictures.strictly(),
            concurrent.futures.ThreadPoolExecutor(workers) as pool,
        ):
            size = self.size or common_size(list(pool.map(_size_of, files)))
            images = np.zeros((len(files), *size, self.channels or 3), np.uint8)
            read = functools.partial(_read_into, images)
            errors = list(pool.map(read, range(len(files)), files))
        good = np.array([error is None for error in errors])
        if not good.all():
            self._report([str(error) for error in errors if error])
        if self.channels is None and (images == images[..., :1]).all():
            images = np.ascontiguousarray(images[..., :1])
        return images, good

    def _report(self, errors: list[str]) -> None:
        others = f" ({len(errors)} such files)" if len(errors) > 1 else ""
        if not self.skip_bad:
            raise DataError(
                f"{errors[0]}{others} Mend or remove it, or leave such files out with "
                "skip_bad=true (--skip-bad)"
            )
        _log.warning("%s: left out: %s%s", self.path.name, errors[0], others)


def list_folder(path: Path) -> tuple[tuple[str, ...], dict[str, Listing]]:
    """Return the names of the classes, and the pictures of each part.

    Raises:
        DataError: If the folder is not there, or not made as it should be.
    """
    if not path.is_dir():
        raise DataError(f"{path}: there is no such folder of pictures")
    below = {each.name: each for each in _entries(path) if each.is_dir()}
    in_parts = "train" in below and below.keys() <= _PARTS.keys()
    roots = (
        {_PARTS[name]: folder for name, folder in below.items()}
        if in_parts
        else {"train": path}
    )
    if len(roots) < len(below) and in_parts:
        raise DataError(f"{path}: has several folders of validation pictures")
    found = {part: _classes(roots[part]) for part in PARTS if part in roots}
    names = tuple(sorted({name for classes in found.values() for name in classes}))
    listings = {}
    for part, classes in found.items():
        files = [file for pictures_of in classes.values() for file in pictures_of]
        labels = [names.index(name) for name in classes for _ in classes[name]]
        listings[part] = Listing(files, labels)
    return names, listings


def _classes(root: Path) -> dict[str, list[Path]]:
    """Return the pictures of each class below a folder, both in order of name."""
    below = [each for each in _entries(root) if each.is_dir()]
    if not below:
        raise DataError(
            f"{root}: holds no folders: put the pictures of each class in a folder of "
            "its name"
        )
    classes, other = {}, []
    for folder in below:
        of_pictures = {True: [], False: []}
        for file in _entries(folder):
            of_pictures[file.suffix.lower() in pictures.SUFFIXES].append(file)
        classes[folder.name] = of_pictures[True]
        other += of_pictures[False]
        if not classes[folder.name]:
            raise DataError(
                f"{folder}: holds no pictures ({', '.join(pictures.FORMATS)}): remove "
                "the folder, or put the pictures of its class in it"
            )
    if other:
        shown = ", ".join(str(file.relative_to(root)) for file in other[:_SHOWN])
        more = f" and {len(other) - _SHOWN:,} more" if len(other) > _SHOWN else ""
        _log.warning("%s: passed over, no pictures: %s%s", root.name, shown, more)
    return classes


def _entries(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        names = sorted(each.name for each in entries if not each.name.startswith("."))
    return [folder / name for name in names]


def _size_of(file: Path) -> Size | None:
    """Return height and width of a picture as it is shown; None if it is damaged."""
    try:
        return pictures.read_size(file)
    except DataError:
        return None  # reading it will say what is wrong


def common_size(sizes: list[Size | None]) -> Size:
    """Return the size that pictures are brought to; None stands for damaged ones."""
    known = [size for size in sizes if size is not None]
    if not known:
        return _SIDE, _SIDE
    if len(set(known)) == 1 and max(known[0]) <= _LARGEST:
        return known[0]
    side = min(_SIDE, int(np.median([min(size) for size in known])))
    return side, side


def _read_into(images: np.ndarray, row: int, file: Path) -> DataError | None:
    """Read a picture into its row of an array; return what is wrong with it."""
    size, channels = images.shape[1:3], images.shape[3]
    try:
        picture: Picture = pictures.read(file, channels)
    except DataError as error:
        return error
    images[row] = picture if picture.shape[:2] == size else pad_to(picture, size)
    return None

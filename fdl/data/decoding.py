"""Parallel decoding of many picture files into one array."""

import concurrent.futures
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt8

from fdl.arrays import DataError
from fdl.data import cache, pictures
from fdl.data.images import fit_picture
from fdl.data.progress import watched

_VERSION = "1"  # of the decoding; a new version invalidates the cache
_LARGEST = 256  # side up to which pictures keep their size, if all have the same
_SIDE = 64  # largest side of pictures that are resized

Size = tuple[int, int]


class Decoded(NamedTuple):
    """Pictures as images of one size.

    Attributes:
        images: The images; black for a file that cannot be read.
        readable: Whether each file can be read.
        errors: Error messages for the other files, in order.
    """

    images: UInt8[np.ndarray, "files height width channels"]
    readable: Bool[np.ndarray, " files"]
    errors: tuple[str, ...]


class File(NamedTuple):
    """A file, and its metadata, which change with its content.

    Attributes:
        path: Path of the file.
        about: Its `os.stat` result.
    """

    path: str
    about: os.stat_result


def decode(
    root: Path, files: Sequence[File], size: Size | None, channels: int | None
) -> Decoded:
    """Decode picture files, or read them from the cache if they were decoded before.

    The cache key is that of `fdl.data.cache.key_of`, with file names relative to the
    folder.

    Args:
        root: A folder that contains all files.
        files: The files.
        size: Height and width of the images. By default, pictures of one size, at most
            256 pixels a side, keep it; others become squares, whose side is the median
            of the shorter sides, at most 64: each is scaled to fit, and padded with its
            background.
        channels: 1 for gray, 3 for color; None for gray if all files are.
    """
    above = len(str(root))
    below = ((file.path[above:], file.about) for file in files)
    key = cache.key_of(root.name, (_VERSION, size, channels), below)
    cached = cache.read_arrays(key)
    if cached is not None and cached.keys() == set(Decoded._fields):
        errors = tuple(cached["errors"].tolist())
        return Decoded(cached["images"], cached["readable"], errors)
    decoded = _decode([file.path for file in files], size, channels, root.name)
    if not decoded.errors:  # otherwise, the next run is to report them again
        cache.keep_arrays(
            key, decoded._asdict() | {"errors": np.array(decoded.errors, str)}
        )
    return decoded


def _decode(
    paths: list[str], size: Size | None, channels: int | None, title: str
) -> Decoded:
    workers = len(os.sched_getaffinity(0))
    with (
        pictures.strictly(),
        concurrent.futures.ThreadPoolExecutor(workers) as pool,
    ):
        if size is None:
            sizes = pool.map(_size_of, paths)
            size = common_size(list(watched(sizes, len(paths), f"{title}: sizes")))
        images = np.zeros((len(paths), *size, channels or 3), np.uint8)
        read = functools.partial(_read_into, images)
        found = pool.map(read, range(len(paths)), paths)
        errors = list(watched(found, len(paths), f"{title}: pictures"))
    if channels is None and (images == images[..., :1]).all():
        images = np.ascontiguousarray(images[..., :1])
    return Decoded(
        images,
        np.array([error is None for error in errors], bool),
        tuple(error for error in errors if error is not None),
    )


def _size_of(path: str) -> Size | None:
    """Return height and width of a picture as displayed; None if it is damaged."""
    try:
        return pictures.read_size(path)
    except DataError:
        return None  # reading it will report the error


def common_size(sizes: list[Size | None]) -> Size:
    """Return the common size for pictures; the size of a damaged one is None."""
    known = [size for size in sizes if size is not None]
    if not known:
        return _SIDE, _SIDE
    if len(set(known)) == 1 and max(known[0]) <= _LARGEST:
        return known[0]
    side = min(_SIDE, int(np.median([min(size) for size in known])))
    return side, side


def _read_into(images: np.ndarray, row: int, path: str) -> str | None:
    """Read a picture into its row of an array; return the error message, if any."""
    size, channels = images.shape[1:3], images.shape[3]
    try:
        picture = pictures.read(path, channels)
        images[row] = (
            picture if picture.shape[:2] == size else fit_picture(picture, size)
        )
    except DataError as error:
        return str(error)
    return None

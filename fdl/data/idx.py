"""The four original files of an MNIST-like dataset, in the IDX format.

Files may be compressed or not, which is detected from their content: browsers like to
decompress a download and keep its name.
"""

import math
import struct
from pathlib import Path

import numpy as np

from fdl.arrays import Batch, DataError
from fdl.data.catalog import (
    IMAGE_SHAPE,
    Entry,
    Split,
    Splits,
    require_contents,
)
from fdl.untrusted import gunzip, read_bytes

IMAGE_FILES = ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte")
LABEL_FILES = ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte")
FILES = (*IMAGE_FILES, *LABEL_FILES)

# Two bytes of zero, the code of uint8, then the number of axes.
_MAGIC = b"\x00\x00\x08"
_GZIP_MAGIC = b"\x1f\x8b"
_MOST_BYTES = 100_000_000  # of a file; the largest original has 47 million


def locate(entry: Entry, root: Path) -> Path | None:
    """Return the first folder at or below `root` with any of the original files."""
    for folder in (root / entry.name, *(root / name for name in entry.folders), root):
        if _paths(folder):
            return folder
    return None


def problem(folder: Path) -> str | None:
    """Return which of the four files a folder lacks; None if it has all."""
    missing = [name for name in FILES if name not in _paths(folder)]
    if not missing:
        return None
    return (
        f"{folder}: of the four original files, {', '.join(missing)} "
        f"{'is' if len(missing) == 1 else 'are'} missing (with or without .gz)."
    )


def read(entry: Entry, folder: Path) -> Splits:
    """Read and verify the four original files of a folder.

    Raises:
        DataError: If a file is missing, damaged, or that of another dataset.
    """
    reason = problem(folder)
    if reason:
        raise DataError(reason)
    arrays = {}
    for name, path in _paths(folder).items():
        try:
            data = read_bytes(path, _MOST_BYTES)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
        except ValueError as error:
            raise DataError(
                f"{path}: {error}, so it is not the original. Replace it."
            ) from error
        arrays[name] = parse(entry, name, data, str(path))
    return assemble(arrays)


def assemble(arrays: dict[str, np.ndarray]) -> Splits:
    """Return the arrays of the four files as training and test set."""
    train, test = (
        Batch(arrays[image], arrays[label])
        for image, label in zip(IMAGE_FILES, LABEL_FILES, strict=True)
    )
    return train, test


def parse(entry: Entry, name: str, data: bytes, where: str) -> np.ndarray:
    """Decode and verify the bytes of one of the four files.

    Args:
        entry: The dataset.
        name: Which of `FILES` it is.
        data: The bytes, compressed or not.
        where: Path or URL, for messages.

    Returns:
        uint8 images `(count, height, width, 1)`, or int32 labels `(count,)`.
    """
    split, kind = _meaning(entry, name)
    shape = (split.size, *IMAGE_SHAPE[:2]) if kind == "image" else (split.size,)
    data = _decompressed(data, _most(entry), where)
    if data[:3] != _MAGIC or len(data) < 4 + 4 * data[3]:
        raise DataError(
            f"{where}: not an IDX file of bytes: it begins with {data[:8]!r}, "
            f"expected {_MAGIC + bytes([len(shape)])!r}. Replace it with the original."
        )
    start = 4 + 4 * data[3]
    found = struct.unpack(f">{data[3]}I", data[4:start])
    if found != shape:
        raise DataError(
            f"{where}: holds an array of shape {found}, but the {kind}s of "
            f"{entry.title}'s file {name} have shape {shape}. Replace it with the "
            "original (are image and label files, or train and t10k, swapped?)."
        )
    if len(data) - start != math.prod(shape):
        raise DataError(
            f"{where}: declares {math.prod(shape)} bytes of data, but holds "
            f"{len(data) - start}. Replace it with an undamaged copy."
        )
    array = np.frombuffer(data, np.uint8, offset=start).reshape(shape)
    array = array[..., None] if kind == "image" else array.astype("<i4")
    what = f"the {kind}s of {entry.title}'s file {name}"
    require_contents(array, getattr(split, kind), where, what)
    return array


def _meaning(entry: Entry, name: str) -> tuple[Split, str]:
    kind, files = (
        ("image", IMAGE_FILES) if name in IMAGE_FILES else ("label", LABEL_FILES)
    )
    return (entry.train, entry.test)[files.index(name)], kind


def _paths(folder: Path) -> dict[str, Path]:
    """Return the path of each original file that a folder has, by name."""
    found = {}
    for name in FILES:
        dotted = name.replace("-idx", ".idx")  # the form on Kaggle and in old copies
        for variant in (f"{name}.gz", f"{dotted}.gz", name, dotted):
            if (folder / variant).is_file():
                found[name] = folder / variant
                break
    return found


def _most(entry: Entry) -> int:
    """Return the size in bytes of the largest of the four files, uncompressed."""
    return 16 + math.prod(IMAGE_SHAPE) * max(entry.train.size, entry.test.size)


def _decompressed(data: bytes, most: int, where: str) -> bytes:
    if not data.startswith(_GZIP_MAGIC):
        return data
    try:
        return gunzip(data, most)
    except ValueError as error:
        raise DataError(
            f"{where}: damaged gzip file of {len(data)} bytes ({error}). "
            "Replace it with an undamaged copy."
        ) from error

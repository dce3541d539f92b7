"""Published datasets that TensorFlow Datasets has prepared, without TensorFlow.

TFDS stores examples in the order of a hash of their index. This is undone here, so that
the arrays are in their published order.
"""

import hashlib
import os
from pathlib import Path

import numpy as np

from fdl.arrays import Batch, DataError
from fdl.data import cache, prepared
from fdl.data.catalog import IMAGE_SHAPE, TFDS_VERSION, Entry, Splits, verify
from fdl.files import expanded
from fdl.untrusted import parse_json, read_text

_UNREADABLE = (
    AttributeError,
    KeyError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)


def default_root() -> Path:
    """Return `TFDS_DATA_DIR`, or TFDS's default folder."""
    folder = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return expanded(folder)


def directory(entry: Entry, root: Path) -> Path:
    """Return the directory of a dataset below TFDS's root folder."""
    return root / entry.name / TFDS_VERSION


def is_there(version: Path) -> bool:
    """Return whether the directory is complete; TFDS writes this file last."""
    return (version / "dataset_info.json").is_file()


def problem(entry: Entry, version: Path) -> str | None:
    """Return why a prepared directory cannot be read; None if it seems complete.

    This checks names, sizes and counts only, which takes a millisecond.
    """
    try:
        info = parse_json(read_text(version / "dataset_info.json"))
        form = info.get("fileFormat", "tfrecord")
        shards = {s["name"]: s for s in info["splits"]}
        counts = {
            name: sum(map(int, s.get("shardLengths", ()))) for name, s in shards.items()
        }
        if form == "parquet":
            return (
                f"{version}: prepared as parquet, which TFDS writes with most of the "
                "examples missing. Prepare it again as array_record."
            )
        if form not in ("array_record", "tfrecord"):
            return (
                f"{version}: prepared as {form!r}, which cannot be read. "
                "Prepare it again as array_record."
            )
        for name, split in (("train", entry.train), ("test", entry.test)):
            if counts.get(name) != split.size:
                return (
                    f"{version}: has {counts.get(name)} examples in split {name}, "
                    f"expected {split.size}. Remove it and prepare it again."
                )
            files = list(version.glob(f"{entry.name}-{name}.{form}-*-of-*"))
            size = sum(file.stat().st_size for file in files)
            lengths, least = shards[name]["shardLengths"], int(shards[name]["numBytes"])
            if len(files) != len(lengths) or size < least:
                return (
                    f"{version}: split {name} has {len(files)} files of {size} bytes, "
                    f"expected {len(lengths)} of at least {least}. "
                    "Remove it and prepare it again."
                )
    except _UNREADABLE as error:
        return (
            f"{version}: dataset_info.json is damaged ({error!r}). "
            "Remove the directory and prepare it again."
        )
    return None


def read(entry: Entry, version: Path) -> Splits:
    """Return the verified arrays of a prepared directory, from the cache if possible.

    Raises:
        DataError: If the directory is incomplete, damaged or in an unusable format.
    """
    reason = problem(entry, version)
    if reason:
        raise DataError(reason)
    splits = cache.read(entry)
    if splits is None:
        splits = _decode(version, "train"), _decode(version, "test")
        verify(entry, splits, str(version))
        cache.write(entry, splits)
    return splits


def _decode(version: Path, split: str) -> Batch:
    # The checksums of records are ignored, since that of the whole split is verified.
    images, labels = [], []
    try:
        for example in prepared.examples(prepared.open_builder(version), split):
            if example["image"].shape != IMAGE_SHAPE:
                raise ValueError(f"an image is {example['image'].shape}")
            images.append(example["image"])
            labels.append(example["label"])
        image, label = np.stack(images), np.array(labels, "<i4")
    except DataError:
        raise
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{version}: split {split} has no images with labels ({error!r}). "
            "Remove the directory and prepare it again."
        ) from error
    order = _stored_order(len(label), split)
    return Batch(_unsorted(image, order), _unsorted(label, order))


def _stored_order(count: int, split: str) -> list[int]:
    """Return the index of each stored example: TFDS sorts by md5(split + index)."""
    salt = hashlib.md5(split.encode(), usedforsecurity=False)

    def position(index: int) -> bytes:
        salted = salt.copy()
        salted.update(str(index).encode())
        return salted.digest()

    return sorted(range(count), key=position)


def _unsorted(stored: np.ndarray, order: list[int]) -> np.ndarray:
    original = np.empty_like(stored)
    original[order] = stored
    return original

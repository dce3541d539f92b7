"""Images in a directory of TensorFlow Datasets, decoded when they are fetched."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from fdl.arrays import Batch, DataError
from fdl.data import prepared, tfds
from fdl.data.prepared_examples import converted, declared_shape, features
from fdl.data.prepared_source import find_version
from fdl.data.sources import existing


class StoredImages:
    """Images with their classes.

    Attributes:
        name: Name in messages.
        class_names: Name of each class, in the order of the labels.
    """

    def __init__(
        self,
        name: str,
        records: Any,
        class_names: tuple[str, ...],
        *,
        image: str,
        label: str,
        size: tuple[int, int],
        channels: int,
    ) -> None:
        """Record how to turn records into rows."""
        self.name, self.class_names = name, class_names
        self._records, self._image, self._label = records, image, label
        self._size, self._channels = size, channels

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._records)

    def rows(self, index: Int[np.ndarray, " n"]) -> Batch:
        """Decode some images."""
        found = self._records.__getitems__(index.tolist())
        images = [
            converted(self.name, example[self._image], self._size, self._channels)
            for example in found
        ]
        labels = [example[self._label] for example in found]
        return Batch(np.stack(images), np.asarray(labels, np.int32))


def stored_tfds(
    line: str,
    split: str = "train",
    *,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    target: str | None = None,
    data_dir: str | Path | None = None,
) -> StoredImages:
    """Leave images in a directory of TensorFlow Datasets, to be decoded when fetched.

    Args:
        line: `NAME[/CONFIG][:VERSION]`, as after `tfds:`; prepared as array_record.
        split: A split in TFDS's notation: `train`, or `train[:90%]`.
        size: Height and width, or one number for both; None for what the directory
            declares.
        channels: 1 for gray, 3 for color; None for what the directory declares.
        target: Feature with the class; None for the only one.
        data_dir: Folder of TFDS; None for `TFDS_DATA_DIR` or `~/tensorflow_datasets`.

    Returns:
        Stored uint8 images with their classes, as a `Batch`, and `class_names`.

    Raises:
        DataError: If there is no such directory, it has no images with classes or
            another format, or the images differ in size and `size` is None.

    Example:
        >>> stored_tfds("no-such-data")
        Traceback (most recent call last):
        ...
        fdl.arrays.DataError: 'no-such-data' is not among the datasets that TFDS ...
    """
    version = find_version(line, existing(data_dir) or tfds.default_root())
    builder = prepared.open_builder(version)
    image, text, label, names = features(version, builder.info, target, None)
    if text is not None:
        raise DataError(f"{version} has texts: load them with fdl.data.load.")
    height, width, depth = declared_shape(builder, image)
    if size is None and (height is None or width is None):
        raise DataError(
            f"{version}: its images have many sizes: pass one, such as size=64."
        )
    if isinstance(size, int):
        size = (size, size)
    return StoredImages(
        f"{line} {split}",
        prepared.records(builder, split),
        names,
        image=image,
        label=label,
        size=size or (height or 0, width or 0),
        channels=channels or (1 if depth == 1 else 3),
    )

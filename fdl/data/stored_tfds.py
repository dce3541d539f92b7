"""Images of a directory of TensorFlow Datasets, decoded when they are fetched."""

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
        name: What messages call them.
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
        """Take note of how records become rows."""
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
        split: Which examples, as TFDS writes it: `train`, or `train[:90%]`.
        size: Height and width, or both in one; None for what the directory declares.
        channels: 1 for gray, 3 for color; None for what the directory declares.
        target: Feature that is the class; None for the only one.
        data_dir: Folder of TFDS; None for `TFDS_DATA_DIR` or `~/tensorflow_datasets`.

    Returns:
        Each image, uint8, with its class, in a `Batch`. Also its `class_names`.

    Raises:
        DataError: If there is no such directory, it holds no images with classes, its
            format is another, or the images have several sizes and none is given.

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
        raise DataError(f"{version}: it has texts: load them by fdl.data.load")
    height, width, depth = declared_shape(builder, image)
    if size is None and (height is None or width is None):
        raise DataError(f"{version}: its images have many sizes: give one, size=64")
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

"""A dataset: the arrays of its three parts, and what they are."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from fdl.arrays import Batch, PyTree, Tokens, outlined


class DatasetInfo(NamedTuple):
    """What a loaded dataset is and where it came from: plain values, ready for JSON.

    Attributes:
        name: Name that `load` takes.
        title: Name for people.
        source: Which route gave the arrays, and the place.
        num_classes: Number of classes, or of characters; labels are below it.
        class_names: Name of each class, in the order of the labels; the characters.
        input_shape: Shape of one input: `(height, width, channels)` of an image,
            `(time,)` of a text.
        train_count: Number of training examples, those held out not among them.
        validation_count: Number of examples held out for validation; 0 if none are.
        test_count: Number of test examples.
        checksum: One sha256 for the published training and test set, equal whatever
            the source and whatever is held out.
        overlaps: Names of datasets whose training images include this dataset's
            test images: a model trained on one of them must not be tested here.
        kind: What the examples are: an `"image"` with its class, a `Batch`, or a
            `"text"`, `Tokens`.
    """

    name: str
    title: str
    source: str
    num_classes: int
    class_names: tuple[str, ...]
    input_shape: tuple[int, ...]
    train_count: int
    validation_count: int
    test_count: int
    checksum: str
    overlaps: tuple[str, ...]
    kind: Literal["image", "text"] = "image"


class Dataset(NamedTuple):
    """Training, validation and test examples, and what they are.

    The arrays are read-only NumPy arrays in the published order: of images a `Batch`,
    `image` uint8 `(batch, height, width, channels)`, `label` int32 `(batch,)`; of texts
    `Tokens`, int32 `(batch, time)`.

    Attributes:
        train: Examples to train on.
        validation: Examples of the published training set that are held out, to select
            by; None if none are.
        test: Examples to measure on once, after everything has been selected.
        info: Name, counts, classes, source and checksum.
        held_out: Row in the published training set of each validation example, in
            order; None if they are its last rows, or there are none.
    """

    train: PyTree
    validation: PyTree | None
    test: PyTree
    info: DatasetInfo
    held_out: Int[np.ndarray, " validation"] | None = None

    def __repr__(self) -> str:
        """Return the shapes."""
        return outlined(self)


def example(info: DatasetInfo) -> Batch | Tokens:
    """Return one example of a dataset's form, all zeros.

    Example:
        >>> info = DatasetInfo("", "", "", 10, (), (28, 28, 1), 0, 0, 0, "", ())
        >>> example(info).image.shape
        (1, 28, 28, 1)
        >>> example(info._replace(input_shape=(128,), kind="text")).token.dtype
        dtype('int32')
    """
    shape = (1, *info.input_shape)
    if info.kind == "text":
        return Tokens(np.zeros(shape, np.int32), np.zeros(shape, np.int32))
    return Batch(np.zeros(shape, np.uint8), np.zeros(1, np.int32))

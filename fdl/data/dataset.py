"""A dataset: the arrays of its three parts, and what they are."""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int

from fdl.arrays import Batch, Pairs, PyTree, Tokens
from fdl.data.describe import Description, describe, draw_sheet

Kind = Literal["image", "vector", "regression", "text"]
"""What examples are, and so which tasks take them."""


class DatasetInfo(NamedTuple):
    """What a loaded dataset is and where it came from: plain values, ready for JSON.

    Attributes:
        name: Name that `load` takes.
        title: Name for people.
        source: Which route gave the arrays, and the place.
        num_classes: Number of classes, or of characters; labels are below it.
        class_names: Name of each class, in the order of the labels; the characters.
        input_shape: Shape of one input: `(height, width, channels)` of an image,
            `(time,)` of a text, `(features,)` of a vector.
        train_count: Number of training examples, those held out not among them.
        validation_count: Number of examples held out for validation; 0 if none are.
        test_count: Number of test examples.
        checksum: One sha256 for the published training and test set, equal whatever
            the source and whatever is held out.
        overlaps: Names of datasets whose training images include this dataset's
            test images: a model trained on one of them must not be tested here.
        kind: What the examples are: an `"image"` or a `"vector"` of numbers with its
            class, a `Batch`; a vector with the number that goes with it, `Pairs`, for
            `"regression"`; or a `"text"`, `Tokens`.
        columns: Name of each feature of a vector that comes from a table; empty where
            features have none.
        means: Mean of each feature of vectors over the training examples, with those
            that `load` holds out of them. Tasks subtract it.
        scales: Standard deviation of each feature, likewise, or 1 where that is 0.
            Tasks divide by it.
        target_mean: Mean of the numbers to predict, likewise.
        target_scale: Their standard deviation, likewise.
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
    kind: Kind = "image"
    columns: tuple[str, ...] = ()
    means: tuple[float, ...] = ()
    scales: tuple[float, ...] = ()
    target_mean: float = 0.0
    target_scale: float = 1.0


class Dataset(NamedTuple):
    """Training, validation and test examples, and what they are.

    The arrays are read-only NumPy arrays in the published order: of images a `Batch`,
    `image` uint8 `(batch, height, width, channels)`, `label` int32 `(batch,)`; of texts
    `Tokens`, int32 `(batch, time)`; of vectors a `Batch` or `Pairs` whose inputs are
    float32 `(batch, features)`.

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

    def describe(self, *, sheet: Path | str | None = None) -> Description:
        """Return numbers, classes and exact duplicates; print it for a summary.

        Args:
            sheet: A file for a PNG picture of the first images of each class.

        Raises:
            DataError: If there is to be a picture, but there are no images, or it
                cannot be written.

        Example:
            >>> import fdl.data
            >>> found = fdl.data.load("mnist-5k").describe()
            >>> found.counts, found.classes["7"]["test"], found.leaks
            ({'train': 3333, 'validation': 667, 'test': 1000}, 100, ())
        """
        if sheet is not None:
            draw_sheet(self, sheet)
        return describe(self)


def example(info: DatasetInfo) -> Batch | Pairs | Tokens:
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
    if info.kind == "regression":
        return Pairs(np.zeros(shape, np.float32), np.zeros((1, 1), np.float32))
    dtype = np.uint8 if info.kind == "image" else np.float32
    return Batch(np.zeros(shape, dtype), np.zeros(1, np.int32))

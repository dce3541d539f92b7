"""Datasets: the arrays of three parts, and their description."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, Shaped

from fdl.arrays import (
    Batch,
    Documents,
    Pairs,
    Pieces,
    PyTree,
    Rows,
    Tokens,
    outlined,
)
from fdl.plain import Fit, Kind

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>")
"""Names of the first tokens of pairs: `PAD`, `START`, `END`, `UNKNOWN`."""

UNITS = ("letters", "words")
"""Units into which the texts of pairs can be split."""

_MOST_NUMBERS = 50_000_000  # of an input
_LONGEST_TEXT = 100_000  # characters of an input


class DatasetInfo(NamedTuple):
    """Description and origin of a loaded dataset, in plain values that JSON can hold.

    Attributes:
        name: Name for `load`.
        title: Display name.
        source: Route by which the arrays were loaded, and the place.
        num_classes: Number of classes, characters, keys, or tokens of the targets of
            pairs; labels are below it. For a `"number"`, 1.
        class_names: Name of each class, in the order of the labels; the characters; the
            keys; the letters or words of targets; or the name of the number.
        input_shape: Shape of one input: `(height, width, channels)` for an image,
            `(time,)` for a text, a document or the source of a pair, `(features,)` for
            a vector, `(time, keys)` for music.
        train_count: Number of training examples, without those held out.
        validation_count: Number of examples held out for validation; 0 if none are.
        test_count: Number of test examples.
        checksum: One sha256 of the published training and test sets, the same for every
            source and every hold-out.
        overlaps: Names of datasets whose training images include this dataset's
            test images: a model trained on one of them must not be tested here.
        kind: Type of the examples: an `"image"` or a `"vector"` of numbers with its
            class (`Batch`); a `"number"` to predict from a vector (`Rows`); a piece of
            `"text"` to continue (`Tokens`); a `"document"`, a text with its class
            (`Documents`); a `"pair"` of a text and what it becomes (`Pairs`); or a
            piece of `"music"` (`Pieces`).
        columns: Name of each number of a vector, if it has one; for documents, the name
            of their text; for pairs, the names of source and target.
        means: Mean of each number of a vector over the published training examples; for
            a `"number"`, that of the target comes last.
        deviations: Standard deviation of each, like `means`; 1 where it would be 0.
        fit: How `fdl predict` fits photographs to its images by default: `"digit"` if
            each shows one character, framed as MNIST frames digits.
        light_on_dark: Whether all images are light on dark, so that others can be
            inverted to match.
        vocabulary: Word of each token of a document, see `fdl.data.words`; for pairs,
            letter or word of each token of a source, see `fdl.data.pairs`.
        target_length: Number of tokens of a pair's target, including its end; 0 for all
            other kinds.
        units: Units of source and target of a pair, each `"letters"` or `"words"`.
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
    deviations: tuple[float, ...] = ()
    fit: Fit = "pad"
    light_on_dark: bool = False
    vocabulary: tuple[str, ...] = ()
    target_length: int = 0
    units: tuple[str, ...] = ()


def require_sensible(info: DatasetInfo, where: str = "") -> None:
    """Raise ValueError if a description that was read from a file is inconsistent.

    Args:
        info: The description.
        where: Prefix of the names of fields in messages.

    Example:
        >>> info = DatasetInfo("", "", "", 2, ("a",), (28, 28, 1), 0, 0, 0, "", ())
        >>> require_sensible(info, "data.")
        Traceback (most recent call last):
        ...
        ValueError: data.class_names has 1 names, but data.num_classes=2
    """
    if len(info.class_names) != info.num_classes or not info.class_names:
        raise ValueError(
            f"{where}class_names has {len(info.class_names)} names, but "
            f"{where}num_classes={info.num_classes}"
        )
    shape, axes = info.input_shape, {"image": 3, "music": 2}.get(info.kind, 1)
    is_text = info.kind in ("text", "document", "pair")
    most = _LONGEST_TEXT if is_text else _MOST_NUMBERS
    if len(shape) != axes or min(shape) < 1 or math.prod(shape) > most:
        raise ValueError(
            f"{where}input_shape={list(shape)} must have {axes} sides of at least 1, "
            f"and at most {most:,} values"
        )
    if info.kind == "document" and len(info.vocabulary) < 2:
        raise ValueError(f"{where}vocabulary has {len(info.vocabulary)} words")
    if info.kind == "pair":
        _require_pair(info, where)
    for name in ("train_count", "validation_count", "test_count"):
        if getattr(info, name) < 0:
            raise ValueError(f"{where}{name}={getattr(info, name)} must be at least 0")
    if len(info.means) != len(info.deviations):
        raise ValueError(
            f"{where}means has {len(info.means)} numbers, and {where}deviations "
            f"{len(info.deviations)}"
        )


def _require_pair(info: DatasetInfo, where: str) -> None:
    """Raise ValueError if a description of pairs is inconsistent."""
    if not 1 <= info.target_length <= _LONGEST_TEXT:
        raise ValueError(
            f"{where}target_length={info.target_length} must be from 1 to "
            f"{_LONGEST_TEXT:,}"
        )
    if len(info.units) != 2 or not {*info.units} <= {*UNITS}:
        raise ValueError(
            f"{where}units={list(info.units)} must be two of {', '.join(UNITS)}"
        )
    if len(info.columns) != 2:
        raise ValueError(f"{where}columns={list(info.columns)} must be two names")
    for name, known in (
        ("vocabulary", info.vocabulary),
        ("class_names", info.class_names),
    ):
        if known[: len(SPECIAL)] != SPECIAL:
            raise ValueError(f"{where}{name} must begin with {', '.join(SPECIAL)}")


class Dataset(NamedTuple):
    """Training, validation and test examples, and their description.

    The arrays are read-only NumPy arrays in the published order: for images a `Batch`,
    `image` uint8 `(batch, height, width, channels)`, `label` int32 `(batch,)`; for text
    `Tokens`, `Documents` or `Pairs`, int32 `(batch, time)`; for music `Pieces`, uint8.

    Attributes:
        train: Training examples.
        validation: Examples of the published training set that are held out for model
            selection; None if none are.
        test: Examples to evaluate on once, after all selection is done.
        info: Name, counts, classes, source and checksum.
        held_out: Row in the published training set of each validation example, in
            order; None if they are its last rows, or there are none.
        references: For pairs, the target of each test example as text, including words
            that are not in the vocabulary; None for all other data.
        files: For pictures in folders, the file of each example of each part, relative
            to the folder of the dataset; None for all other data.
    """

    train: PyTree
    validation: PyTree | None
    test: PyTree
    info: DatasetInfo
    held_out: Int[np.ndarray, " validation"] | None = None
    references: Shaped[np.ndarray, " test"] | None = None
    files: Mapping[str, np.ndarray] | None = None

    def __repr__(self) -> str:
        """Return the shapes."""
        return outlined(self)

    def describe(self) -> Any:
        """Describe the dataset; see `fdl.data.describe`."""
        from fdl.data.description import describe  # which imports this class

        return describe(self)


def example(info: DatasetInfo) -> Batch | Rows | Tokens | Documents | Pairs | Pieces:
    """Return one example with the shapes and dtypes of a dataset, all zeros.

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
    if info.kind == "document":
        return Documents(np.zeros(shape, np.int32), np.zeros(1, np.int32))
    if info.kind == "pair":
        target = np.zeros((1, info.target_length), np.int32)
        return Pairs(np.zeros(shape, np.int32), target)
    if info.kind == "music":
        frames = np.zeros(shape, np.uint8)
        return Pieces(frames, frames, np.ones(shape[:2], bool))
    if info.kind == "number":
        return Rows(np.zeros(shape, np.float32), np.zeros((1, 1), np.float32))
    dtype = np.uint8 if info.kind == "image" else np.float32
    return Batch(np.zeros(shape, dtype), np.zeros(1, np.int32))

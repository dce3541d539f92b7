"""Checks of users' arrays, made once before anything is compiled."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl.arrays import END, PAD, START, Array, Batch, Documents, Pairs, PyTree
from fdl.arrays import DataError as DataError
from fdl.data.dataset import Dataset

_BRIGHTEST = 2.0  # of pixels meant to be in [0, 1]; interpolation may overshoot


def check(data: PyTree, *, batch_size: int | None = None) -> None:
    """Raise a `DataError` if training on these arrays would fail or learn nonsense.

    The first axis of every array must count examples. A `Batch` must also have labels
    that are integers from 0, one for each image; integer images must be uint8, and
    floating point images must not be pixels of 0 to 255. An array is taken for such
    pixels if it has at least two axes besides the first, no negative value, and one
    above 2: standardized images have negative values, and features, which have any
    range, have one axis. Labels of `Documents` are checked likewise. `Pairs` must have
    no empty texts, padding only at the end, and one end in each target.

    Args:
        data: A `Batch`, or any nesting of tuples, lists and dictionaries of arrays.
        batch_size: Batch size of the training, if known.

    Raises:
        DataError: Names the first fault, the value and the remedy.

    Example:
        >>> images = np.zeros((8, 28, 28, 1), np.uint8)
        >>> check(Batch(images, np.arange(8)), batch_size=4)
        >>> check(Batch(images, np.arange(8) - 1))
        Traceback (most recent call last):
        ...
        fdl.arrays.DataError: label has the value -1 in row 0, but ...
    """
    if isinstance(data, Dataset):
        raise DataError(
            "the data are a Dataset of several parts: pass one of them, such as "
            "data.train."
        )
    if isinstance(data, Batch):
        for name, value in data._asdict().items():
            if not isinstance(value, Array):
                raise DataError(
                    f"{name} is {_kind(value)}, not an array: use numpy.asarray."
                )
    leaves = {
        _name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(data)
    }
    if not leaves:
        raise DataError(f"there are no arrays in {data!r}: pass at least one.")
    for name, leaf in leaves.items():
        _check_array(name, leaf)
    count = _check_lengths({name: leaf.shape[0] for name, leaf in leaves.items()})
    if batch_size is not None:
        check_batch_size(batch_size, count)
    if isinstance(data, Batch):
        _check_image(data.image)
    if isinstance(data, (Batch, Documents)):
        check_label(data.label)
    if isinstance(data, Pairs):
        for name, tokens in data._asdict().items():
            _check_tokens(name, np.asarray(tokens))
    for name, leaf in leaves.items():
        _check_finite(name, leaf)
        _check_size(name, leaf)
    if isinstance(data, Batch):
        _check_brightness(data.image)


def _name(path: tuple[Any, ...]) -> str:
    """Return the name of an array in messages: `image`, `data[0]`, `inputs.mask`."""
    if path and not isinstance(path[0], jax.tree_util.SequenceKey):
        return jax.tree_util.keystr(path, simple=True, separator=".")
    return "data" + jax.tree_util.keystr(path)


def _check_array(name: str, leaf: Any) -> None:
    if not isinstance(leaf, Array):
        remedy = "load the data first" if isinstance(leaf, str) else "use numpy.asarray"
        raise DataError(f"{name} is {_kind(leaf)}, not an array: {remedy}.")
    if not (jnp.issubdtype(leaf.dtype, np.number) or leaf.dtype == bool):
        raise DataError(
            f"{name} has dtype {leaf.dtype}, which is not numeric: pass an array of "
            "numbers, with all rows of the same shape."
        )
    if not leaf.dtype.isnative:
        raise DataError(
            f"{name} has dtype {leaf.dtype}, whose byte order is not that of this "
            f"computer: use array.astype({leaf.dtype.newbyteorder('=').name!r})."
        )
    if leaf.ndim == 0:
        raise DataError(
            f"{name} is the single number {leaf}, but its first axis must count "
            "examples: use numpy.full to repeat it."
        )
    if 0 in leaf.shape[1:]:
        raise DataError(
            f"{name} has shape {leaf.shape}, so its examples are empty: leave it out, "
            "or find out where its values were lost."
        )


def _kind(value: Any) -> str:
    name = type(value).__name__
    article = "an" if name[0] in "aeiou" else "a"
    return "None" if value is None else f"{article} {name}"


def _check_lengths(lengths: dict[str, int]) -> int:
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} has {n}" for name, n in lengths.items())
        raise DataError(
            f"the arrays have different numbers of examples: {listed}. "
            "Use the same examples in all of them."
        )
    count = next(iter(lengths.values()))
    if count == 0:
        raise DataError(
            f"the set is empty: {', '.join(lengths)} with 0 examples. Pass at least "
            "one."
        )
    return count


def check_batch_size(batch_size: int, count: int) -> None:
    """Raise a `DataError` unless the batch size is from 1 to the number of examples."""
    if not 1 <= batch_size <= count:
        raise DataError(
            f"batch_size={batch_size} with {count} examples: use a batch_size from 1 "
            f"to {count}."
        )


def _check_image(image: Array) -> None:
    integer = jnp.issubdtype(image.dtype, np.integer)
    if integer and image.dtype != np.uint8:
        raise DataError(
            f"image has dtype {image.dtype}, but must be uint8 in 0..255 or floating "
            "point. Use image.astype(numpy.uint8) or image.astype(numpy.float32)."
        )
    if image.ndim < 2:
        raise DataError(
            f"image has shape {image.shape}, one number per example: expected (batch, "
            "height, width, channels) or (batch, features). Use image[:, None]."
        )
    if integer and image.ndim == 3:
        raise DataError(
            f"image has shape {image.shape}: expected (batch, height, width, "
            "channels). Add a channel axis with image[..., None]."
        )


def check_label(label: Array, num_classes: int | None = None) -> None:
    """Raise a `DataError` unless labels are classes from 0, one for each example.

    Example:
        >>> check_label(np.arange(8), num_classes=8)
    """
    count = len(label)
    if label.ndim != 1:
        raise DataError(
            f"label has shape {label.shape}, expected ({count},), the class of each "
            "example. Use label.argmax(-1) if it is one-hot, label[:, 0] if it is a "
            "column."
        )
    if not jnp.issubdtype(label.dtype, np.integer):
        raise DataError(
            f"label has dtype {label.dtype}, expected an integer: the class of each "
            "example. Use label.astype(numpy.int32)."
        )
    values = np.asarray(label)
    bad = values < 0
    if num_classes is not None:
        bad |= values >= num_classes
    if bad.any():
        row = int(bad.argmax())
        upper = "" if num_classes is None else f" to {num_classes - 1}"
        raise DataError(
            f"label has the value {values[row]} in row {row}, but classes are counted "
            f"from 0{upper} ({bad.sum()} such labels). Renumber the classes, or pass "
            "the right num_classes."
        )


def _check_tokens(name: str, tokens: np.ndarray) -> None:
    """Raise a `DataError` unless tokens of `Pairs` are valid texts."""
    if tokens.ndim != 2 or tokens.dtype.kind not in "iu":
        raise DataError(
            f"{name} is {tokens.dtype}{list(tokens.shape)}: expected integers, (batch, "
            "time), as fdl.data.from_pairs creates them from texts."
        )
    length = (tokens != PAD).sum(axis=1)
    place = np.arange(tokens.shape[1])
    is_target = name == "target"
    last = place == length[:, None] - 1
    faults = {
        "a negative token": tokens < 0,
        "only padding": (length == 0)[:, None],
        "padding before a token, but padding must come last": (tokens == PAD)
        & (place < length[:, None]),
        "the start token, 1, which the learner adds itself": tokens == START,
        "the end token, 2, which only belongs at the end of targets": (tokens == END)
        & ~(last & is_target),
        "no end token: its last token must be 2": is_target & last & (tokens != END),
    }
    for fault, bad in faults.items():
        rows = np.flatnonzero(bad.any(axis=1))
        if len(rows):
            raise DataError(
                f"row {rows[0]} of {name} has {fault} ({len(rows)} such rows)."
            )


def _check_brightness(image: Array) -> None:
    if image.ndim < 3 or not jnp.issubdtype(image.dtype, np.floating):
        return
    low, high = float(image.min()), float(image.max())
    if low >= 0 and high > _BRIGHTEST:
        raise DataError(
            f"image is {image.dtype} with values from {low:g} to {high:g}, but "
            "floating point pixels must be in [0, 1]. Divide them by their largest "
            "possible value, such as 255; if they are not pixels, pass a tuple "
            "(inputs, targets) instead of a Batch."
        )


def _check_finite(name: str, leaf: Array) -> None:
    if not jnp.issubdtype(leaf.dtype, np.inexact):
        return
    # The sum tells whether all are finite, and stays on the device; it may overflow.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(leaf.sum()):
            return
    bad = ~np.isfinite(np.asarray(leaf))
    if bad.any():
        row = int(bad.reshape(len(bad), -1).any(axis=1).argmax())
        raise DataError(
            f"{name} has {bad.sum()} values that are NaN or infinite, the first in row "
            f"{row}: remove these rows, or replace the values with numpy.nan_to_num."
        )


def _check_size(name: str, leaf: Array) -> None:
    """Raise a `DataError` for 64-bit numbers that do not fit a device's 32 bits."""
    kept = jax.dtypes.canonicalize_dtype(leaf.dtype)
    if kept.itemsize >= leaf.dtype.itemsize or leaf.dtype.kind not in "iuf":
        return
    limits = jnp.iinfo(kept) if leaf.dtype.kind in "iu" else jnp.finfo(kept)
    values = np.asarray(leaf)
    bad = (values < limits.min) | (values > limits.max)
    if bad.any():
        place = np.unravel_index(bad.argmax(), bad.shape)
        raise DataError(
            f"{name} has the value {values[place]} in row {place[0]}, which is beyond "
            f"{kept} ({bad.sum()} such values): renumber or scale them, or set "
            "jax_enable_x64."
        )

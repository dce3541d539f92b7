"""Options and random draws that layers for image augmentation share.

They use the random key of dropout. As in Keras, most layers draw anew for each image.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from fdl.arrays import Array, Key
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.layout import either_layout
from fdl.keras.table.options import (
    SEED,
    Check,
    Option,
    anything,
    number,
    several,
)

Change = Callable[[Key, Array, Mapping[str, Any]], Array]
"""`(key, images, options) -> images`: one batch axis, channels last."""

Ends = tuple[int | float, int | float]


def factor(low: int, high: int) -> Check:
    """Accept a number or a range, and return a range, by Keras' rules."""
    ends = several(number(), 2)

    def check(value: Any) -> Ends:
        if isinstance(value, list | tuple):
            lower, upper = sorted(ends(value))
        else:
            upper = abs(number(low, high)(value))
            lower = max(-upper, low)
        if lower > high or upper < low:
            raise ValueError(f"must be in [{low:g}, {high:g}]")
        return lower, upper

    return check


def value_range(value: Any) -> Ends:
    """Accept a pair of the smallest and the largest value of a pixel."""
    low, high = sorted(several(number(), 2)(value))
    if low == high:
        raise ValueError("must be two different numbers")
    return low, high


BOXES = {"bounding_box_format": Option(anything, None)}
VALUES = {"value_range": Option(value_range, (0, 255))}


def in_training(
    change: Change, options: Mapping[str, Option], level: str = ""
) -> Entry:
    """Return the entry of a layer that changes images only in training."""

    def run(run: Run, images: Any) -> Array:
        images = as_images(images)
        if not run.train:
            return images
        key: Any = run.key()
        return change(key, images, run.options)

    return either_layout(Entry(run, {**options, "seed": SEED, **BOXES}, level=level))


def as_images(images: Any) -> Array:
    """Convert images to floating point.

    Raises:
        ValueError: If they are not a batch of images.
    """
    if not hasattr(images, "ndim") or images.ndim != 4:
        raise ValueError(
            "image layers take images of shape (batch, height, width, channels), not "
            f"{getattr(images, 'shape', 'labels and boxes')}"
        )
    return images.astype(jnp.promote_types(images.dtype, jnp.float32))


def uniform(key: Key, images: Array, ends: Ends) -> Array:
    """Draw a number for each image, as an array of shape `(batch, 1, 1, 1)`."""
    low, high = ends
    shape = (images.shape[0], 1, 1, 1)
    return jax.random.uniform(key, shape, images.dtype, low, high)


def chosen(key: Key, images: Array, rate: Ends) -> Array:
    """Draw whether to change each image; its probability is drawn from `rate` first."""
    first, second = jax.random.split(key)
    return uniform(second, images, (0, 1)) < uniform(first, images, rate)


def rescaled(images: Array, from_range: Ends, to_range: Ends) -> Array:
    """Map values linearly from one range to another."""
    (low, high), (new_low, new_high) = from_range, to_range
    if from_range == to_range:
        return images
    return (images - low) / (high - low) * (new_high - new_low) + new_low

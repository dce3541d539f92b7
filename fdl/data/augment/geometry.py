"""Changes that move or hide the pixels of an image."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fdl import imaging
from fdl.arrays import Seed, as_key
from fdl.data.augment.change import Change, Image, Pixels, pixels
from fdl.ranges import require_number, require_whole


def shift(distance: int, *, fill: float = 0.0) -> Change:
    """Build a random shift by whole pixels in both directions, uniformly distributed.

    Args:
        distance: Largest shift up, down, left and right, at least 0.
        fill: Value of pixels that come into view.

    Raises:
        ValueError: If `distance` is negative.

    Example:
        >>> shift(1)(jax.random.key(0), np.eye(3, dtype=np.float32)[..., None])[..., 0]
        Array([[0., 1., 0.],
               [0., 0., 1.],
               [0., 0., 0.]], dtype=float32)
    """
    require_whole("[0, inf)", distance=distance)
    return _padded_window(distance, mode="constant", constant_values=fill)


def crop(
    padding: int, *, mode: Literal["reflect", "edge", "wrap"] = "reflect"
) -> Change:
    """Build a random crop of the original size from an image padded on all sides.

    This is a `shift` in which the image continues beyond its border.

    Args:
        padding: Pixels to add on each side, at least 0.
        mode: How the image continues, as in `jax.numpy.pad`.

    Raises:
        ValueError: If `padding` is negative.

    Example:
        >>> image = np.float32([[1, 2, 3]] * 3)[..., None]
        >>> crop(1)(jax.random.key(0), image)[..., 0]
        Array([[2., 1., 2.],
               [2., 1., 2.],
               [2., 1., 2.]], dtype=float32)
    """
    require_whole("[0, inf)", padding=padding)
    return _padded_window(padding, mode=mode)


def flip(probability: float = 0.5) -> Change:
    """Build a random horizontal flip.

    Args:
        probability: Probability of a flip, in [0, 1].

    Raises:
        ValueError: If `probability` is outside [0, 1].

    Example:
        >>> flip(1.0)(jax.random.key(0), np.float32([[[1], [2]]]))[..., 0]
        Array([[2., 1.]], dtype=float32)
    """
    require_number("[0, 1]", probability=probability)

    def change(key: Seed, image: Image) -> Pixels:
        key, image = as_key(key), pixels(image)
        mirrored = jax.random.bernoulli(key, probability)
        return jnp.where(mirrored, image[:, ::-1], image)

    return change


def rotate(degrees: float | tuple[float, float], *, fill: float = 0.0) -> Change:
    """Build a random rotation about the center, with bilinear interpolation.

    Args:
        degrees: Largest angle in either direction, or the smallest and the largest one;
            positive angles rotate counterclockwise. Angles are drawn uniformly.
        fill: Value of pixels that come into view.

    Raises:
        ValueError: If the smallest angle is larger than the largest.

    Example:
        >>> image = np.float32([[1, 2], [3, 4]])[..., None]
        >>> jax.jit(rotate((90.0, 90.0)))(jax.random.key(0), image)[..., 0].astype(int)
        Array([[2, 4],
               [1, 3]], dtype=int32)
    """
    low, high = degrees if isinstance(degrees, tuple) else (-degrees, degrees)
    for end in (low, high):
        require_number("[-360, 360]", degrees=end)
    if not low <= high:
        raise ValueError(
            f"degrees={degrees} must be a number of at least 0, or (smallest, largest)."
        )

    def change(key: Seed, image: Image) -> Pixels:
        key, image = as_key(key), pixels(image)
        angle = jnp.deg2rad(jax.random.uniform(key, minval=low, maxval=high))
        height, width, _ = image.shape
        return imaging.project(image, imaging.rotation(angle, height, width), fill=fill)

    return change


def cutout(size: int, *, fill: float = 0.0) -> Change:
    """Build cutout: hide one random square (DeVries & Taylor, 2017, arXiv:1708.04552).

    Unlike in the paper, the square always lies inside the image.

    Args:
        size: Height and width of the square, at least 0 and at most that of the image.
        fill: Value of hidden pixels.

    Raises:
        ValueError: If `size` is negative, or larger than an image.

    Example:
        >>> float(cutout(8)(jax.random.key(0), np.ones((28, 28, 1), np.float32)).sum())
        720.0
    """
    require_whole("[0, inf)", size=size)

    def change(key: Seed, image: Image) -> Pixels:
        key, image = as_key(key), pixels(image)
        height, width, _ = image.shape
        if size > min(height, width):
            raise ValueError(
                f"size={size} must be at most {min(height, width)}, since images are "
                f"{height} x {width}."
            )
        limits = np.array([height, width]) - size + 1
        top, left = jax.random.randint(key, (2,), 0, limits)
        y, x = np.indices((height, width))
        hidden = (y >= top) & (y < top + size) & (x >= left) & (x < left + size)
        return jnp.where(hidden[..., None], jnp.asarray(fill, image.dtype), image)

    return change


def _padded_window(border: int, **how: Any) -> Change:
    def change(key: Seed, image: Image) -> Pixels:
        key, image = as_key(key), pixels(image)
        padded = jnp.pad(image, ((border, border), (border, border), (0, 0)), **how)
        top, left = jax.random.randint(key, (2,), 0, 2 * border + 1)
        return lax.dynamic_slice(padded, (top, left, 0), image.shape)

    return change

"""Random changes of training examples: `fdl.data.augment.shift(2)` and its like.

Each function builds a change, `(key, example) -> example`, of one image `(height,
width, channels)`: pure, of static shapes, made for `jit` and `vmap`. The learner
`fdl.learners.augmented` applies it to every example of a training batch with a key of
its own. 8-bit pixels become numbers in [0, 1] first, so that fill values and strengths
are on that scale; images in floating point are taken as they are. Nothing is clipped,
as standardized images have no limits.

`mixup` mixes the examples of a batch with each other.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Float, Shaped

from fdl.arrays import Array, DataError, Key, PyTree, unit_scale
from fdl.data.mixup import mixup as mixup

Image = Shaped[Array, "height width channels"]
Change = Callable[[Key, Image], Float[Array, "height width channels"]]


def compose(*changes: Callable[[Key, PyTree], PyTree]) -> Callable:
    """Build the change that makes several changes one after the other.

    Example:
        >>> change = compose(shift(2), flip(), noise(0.1))
        >>> change(jax.random.key(0), np.zeros((28, 28, 1), np.uint8)).shape
        (28, 28, 1)
    """

    def change(key: Key, example: PyTree) -> PyTree:
        for index, one in enumerate(changes):
            example = one(jax.random.fold_in(key, index), example)
        return example

    return change


def shift(pixels: int, *, fill: float = 0.0) -> Change:
    """Build a move by up to `pixels` in both directions, each whole move equally often.

    Args:
        pixels: Largest move up, down, left and right, at least 0.
        fill: Value of what comes into view.

    Raises:
        ValueError: If `pixels` is negative.

    Example:
        >>> shift(1)(jax.random.key(0), np.eye(3, dtype=np.float32)[..., None])[..., 0]
        Array([[1., 0., 0.],
               [0., 1., 0.],
               [0., 0., 0.]], dtype=float32)
    """
    return _padded_window(pixels, mode="constant", constant_values=fill)


def crop(
    padding: int, *, mode: Literal["reflect", "edge", "wrap"] = "reflect"
) -> Change:
    """Build a crop of the old size from an image that was padded on all sides.

    A `shift` whose image goes on beyond its border.

    Args:
        padding: Pixels added on each side, at least 0.
        mode: How the image goes on, as in `jax.numpy.pad`.

    Raises:
        ValueError: If `padding` is negative.

    Example:
        >>> image = np.float32([[1, 2, 3]] * 3)[..., None]
        >>> crop(1)(jax.random.key(0), image)[..., 0]
        Array([[1., 2., 3.],
               [1., 2., 3.],
               [1., 2., 3.]], dtype=float32)
    """
    return _padded_window(padding, mode=mode)


def flip(probability: float = 0.5) -> Change:
    """Build a mirroring from left to right.

    Args:
        probability: How often, in [0, 1].

    Raises:
        ValueError: If `probability` is no probability.

    Example:
        >>> flip(1.0)(jax.random.key(0), np.float32([[[1], [2]]]))[..., 0]
        Array([[2., 1.]], dtype=float32)
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"probability={probability} must be in [0, 1].")

    def change(key: Key, image: Image) -> Float[Array, "height width channels"]:
        image = _pixels(image)
        mirrored = jax.random.bernoulli(key, probability)
        return jnp.where(mirrored, image[:, ::-1], image)

    return change


def rotate(degrees: float | tuple[float, float], *, fill: float = 0.0) -> Change:
    """Build a rotation about the center, with linear interpolation.

    Args:
        degrees: Largest angle in either direction, or the smallest and the largest one;
            positive angles turn counterclockwise. Angles are drawn uniformly.
        fill: Value of what comes into view.

    Raises:
        ValueError: If the smallest angle is larger than the largest.

    Example:
        >>> image = np.float32([[1, 2], [3, 4]])[..., None]
        >>> rotate((90, 90))(jax.random.key(0), image)[..., 0].round(3)
        Array([[2., 4.],
               [1., 3.]], dtype=float32)
    """
    low, high = degrees if isinstance(degrees, tuple) else (-degrees, degrees)
    if not low <= high:
        raise ValueError(
            f"degrees={degrees} must be a number of at least 0, or (smallest, largest)."
        )

    def change(key: Key, image: Image) -> Float[Array, "height width channels"]:
        image = _pixels(image)
        angle = jnp.deg2rad(jax.random.uniform(key, minval=low, maxval=high))
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        middle = (np.array(image.shape[:2], np.float32) - 1) / 2
        y, x = (
            grid - center
            for grid, center in zip(np.indices(image.shape[:2]), middle, strict=True)
        )
        # Where each pixel of the rotated image comes from: the inverse rotation.
        source = [cos * y + sin * x + middle[0], cos * x - sin * y + middle[1]]
        interpolate = lambda channel: map_coordinates(
            channel, source, order=1, mode="constant", cval=fill
        )
        return jax.vmap(interpolate, -1, -1)(image)

    return change


def cutout(size: int, *, fill: float = 0.0) -> Change:
    """Build the hiding of one square (DeVries & Taylor, 2017, arXiv:1708.04552).

    Differs from the paper in that the square always lies inside the image.

    Args:
        size: Height and width of the square, at least 0 and within the image.
        fill: Value that hides.

    Raises:
        ValueError: If `size` is negative, or larger than an image.

    Example:
        >>> float(cutout(8)(jax.random.key(0), np.ones((28, 28, 1), np.float32)).sum())
        720.0
    """
    if size < 0:
        raise ValueError(f"size={size} must be at least 0.")

    def change(key: Key, image: Image) -> Float[Array, "height width channels"]:
        image = _pixels(image)
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


def noise(stddev: float) -> Change:
    """Build the adding of Gaussian noise to every value, as Keras' `GaussianNoise`.

    Args:
        stddev: Standard deviation, at least 0.

    Raises:
        ValueError: If `stddev` is negative.

    Example:
        >>> image = noise(0.1)(jax.random.key(0), np.zeros((28, 28, 1), np.uint8))
        >>> image.std().round(2)
        Array(0.1, dtype=float32)
    """
    if not stddev >= 0:
        raise ValueError(f"stddev={stddev} must be at least 0.")

    def change(key: Key, image: Image) -> Float[Array, "height width channels"]:
        image = _pixels(image)
        return image + stddev * jax.random.normal(key, image.shape, image.dtype)

    return change


def brightness(delta: float) -> Change:
    """Build the adding of one number, uniform in [-delta, delta], to all values.

    Raises:
        ValueError: If `delta` is negative.

    Example:
        >>> image = brightness(0.2)(jax.random.key(0), np.ones((2, 2, 1), np.float32))
        >>> bool((image == image[0, 0, 0]).all()), bool(abs(image[0, 0, 0] - 1) <= 0.2)
        (True, True)
    """
    if not delta >= 0:
        raise ValueError(f"delta={delta} must be at least 0.")

    def change(key: Key, image: Image) -> Float[Array, "height width channels"]:
        image = _pixels(image)
        return image + jax.random.uniform(key, (), image.dtype, -delta, delta)

    return change


def contrast(factor: float) -> Change:
    """Build the scaling of each channel about its mean, as Keras' `RandomContrast`.

    Args:
        factor: The scale is drawn uniformly from [1 - factor, 1 + factor]; in [0, 1].

    Raises:
        ValueError: If `factor` is outside [0, 1].

    Example:
        >>> image = np.eye(4, dtype=np.float32)[..., None]
        >>> contrast(0.5)(jax.random.key(0), image).mean().round(3)
        Array(0.25, dtype=float32)
    """
    if not 0 <= factor <= 1:
        raise ValueError(f"factor={factor} must be in [0, 1].")

    def change(key: Key, image: Image) -> Float[Array, "height width channels"]:
        image = _pixels(image)
        mean = image.mean(axis=(0, 1), keepdims=True)
        scale = jax.random.uniform(key, (), image.dtype, 1 - factor, 1 + factor)
        return mean + scale * (image - mean)

    return change


def _pixels(image: Image) -> Float[jax.Array, "height width channels"]:
    image = jnp.asarray(unit_scale(image))
    if image.ndim != 3 or not jnp.issubdtype(image.dtype, jnp.floating):
        raise DataError(
            f"an image has shape {image.shape} and dtype {image.dtype}: changes take "
            "(height, width, channels), 8-bit or in floating point"
        )
    return image


def _padded_window(pixels: int, **how) -> Change:
    if pixels < 0:
        raise ValueError(f"{pixels} pixels: give a number of at least 0.")

    def change(key: Key, image: Image) -> Float[Array, "height width channels"]:
        image = _pixels(image)
        padded = jnp.pad(image, ((pixels, pixels), (pixels, pixels), (0, 0)), **how)
        top, left = jax.random.randint(key, (2,), 0, 2 * pixels + 1)
        return lax.dynamic_slice(padded, (top, left, 0), image.shape)

    return change

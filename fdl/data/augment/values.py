"""Changes of the values of pixels."""

import jax

from fdl import imaging
from fdl.arrays import Seed, as_key
from fdl.data.augment.change import Change, Image, Pixels, pixels
from fdl.ranges import require_number


def noise(stddev: float) -> Change:
    """Build additive Gaussian noise on every value, like Keras's `GaussianNoise`.

    Args:
        stddev: Standard deviation, at least 0.

    Raises:
        ValueError: If `stddev` is negative.

    Example:
        >>> import jax.numpy as jnp
        >>> image = noise(0.1)(jax.random.key(0), jnp.zeros((28, 28, 1)))
        >>> round(float(image.std()), 2)
        0.1
    """
    require_number("[0, inf)", stddev=stddev)

    def change(key: Seed, image: Image) -> Pixels:
        key, image = as_key(key), pixels(image)
        return image + stddev * jax.random.normal(key, image.shape, image.dtype)

    return change


def brightness(delta: float) -> Change:
    """Build a brightness change: one number added, uniform in [-delta, delta].

    Raises:
        ValueError: If `delta` is negative.

    Example:
        >>> import jax.numpy as jnp
        >>> image = brightness(0.2)(jax.random.key(0), jnp.ones((2, 2, 1)))
        >>> bool((image == image[0, 0, 0]).all()), bool(abs(image[0, 0, 0] - 1) <= 0.2)
        (True, True)
    """
    require_number("[0, inf)", delta=delta)

    def change(key: Seed, image: Image) -> Pixels:
        key, image = as_key(key), pixels(image)
        return image + jax.random.uniform(key, (), image.dtype, -delta, delta)

    return change


def contrast(factor: float) -> Change:
    """Build a scaling of each channel about its mean, like Keras's `RandomContrast`.

    Args:
        factor: The scale is drawn uniformly from [1 - factor, 1 + factor]; in [0, 1].

    Raises:
        ValueError: If `factor` is outside [0, 1].

    Example:
        >>> import jax.numpy as jnp
        >>> image = jnp.eye(4)[..., None]
        >>> contrast(0.5)(jax.random.key(0), image).mean().round(3)
        Array(0.25, dtype=float32)
    """
    require_number("[0, 1]", factor=factor)

    def change(key: Seed, image: Image) -> Pixels:
        key, image = as_key(key), pixels(image)
        scale = jax.random.uniform(key, (), image.dtype, 1 - factor, 1 + factor)
        return imaging.contrast(image, scale)

    return change

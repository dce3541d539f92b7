"""Colors of images."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from fdl.arrays import Array

_GRAY = (0.2989, 0.5870, 0.1140)  # how bright red, green and blue look


def contrast(
    images: Float[Array, "*batch height width channels"], scale: Float[Array, "..."]
) -> Float[jax.Array, "*batch height width channels"]:
    """Scale each channel of an image about its mean.

    Args:
        images: Images, channels last; any number of leading batch axes.
        scale: A number, or an array of as many axes as the images.

    Example:
        >>> contrast(jnp.array([[[1.0], [3.0]]]), jnp.array(2.0))[0, :, 0]
        Array([0., 4.], dtype=float32)
    """
    mean = jnp.mean(images, axis=(-3, -2), keepdims=True)
    return mean + scale * (images - mean)


def grayscale(images: Float[Array, "*batch channels"]) -> Float[jax.Array, "*batch 1"]:
    """Convert red, green and blue to brightness; return gray images unchanged.

    Raises:
        ValueError: If there are neither one nor three channels.

    Example:
        >>> grayscale(jnp.array([0.0, 1.0, 0.0]))
        Array([0.587], dtype=float32)
    """
    images = jnp.asarray(images)
    if images.shape[-1] == 1:
        return images
    require_colors(images)
    return jnp.matmul(images, jnp.asarray(_GRAY, images.dtype))[..., None]


def rgb_to_hsv(images: Float[Array, "*batch 3"]) -> Float[jax.Array, "*batch 3"]:
    """Convert red, green and blue to hue, saturation and value.

    Hue and saturation are in [0, 1]; value is the largest of the three colors.

    Example:
        >>> rgb_to_hsv(jnp.array([0.0, 0.5, 0.0])).round(3)
        Array([0.333, 1.   , 0.5  ], dtype=float32)
    """
    red, green, blue = jnp.moveaxis(require_colors(images), -1, 0)
    value = jnp.max(images, axis=-1)
    spread = value - jnp.min(images, axis=-1)
    gray = spread == 0
    sixth = 1 / (6 * jnp.where(gray, 1, spread))
    hue = jnp.where(
        value == green,
        sixth * (blue - red) + 1 / 3,
        sixth * (red - green) + 2 / 3,
    )
    hue = jnp.where(value == red, sixth * (green - blue), hue)
    hue = jnp.where(gray, 0, hue + (hue < 0))
    saturation = jnp.where(value > 0, spread / jnp.where(value > 0, value, 1), 0)
    return jnp.stack([hue, saturation, value], axis=-1)


def hsv_to_rgb(images: Float[Array, "*batch 3"]) -> Float[jax.Array, "*batch 3"]:
    """Convert hue, saturation and value to red, green and blue.

    Example:
        >>> hsv_to_rgb(jnp.array([1 / 3, 1.0, 0.5])).round(3)
        Array([0. , 0.5, 0. ], dtype=float32)
    """
    hue, saturation, value = jnp.moveaxis(require_colors(images), -1, 0)
    sixth = 6 * (hue % 1)
    colors = [
        jnp.clip(jnp.abs(sixth - 3) - 1, 0, 1),
        jnp.clip(2 - jnp.abs(sixth - 2), 0, 1),
        jnp.clip(2 - jnp.abs(sixth - 4), 0, 1),
    ]
    return jnp.stack(
        [value * (1 - saturation + saturation * color) for color in colors], axis=-1
    )


def require_colors(images: Float[Array, "*batch channels"]) -> jax.Array:
    """Return images, which must have three channels.

    Raises:
        ValueError: If they have another number of channels.

    Example:
        >>> require_colors(jnp.ones((2, 3))).shape
        (2, 3)
    """
    if images.shape[-1] != 3:
        raise ValueError(
            f"images have {images.shape[-1]} channels, but must have 3: red, green and "
            "blue."
        )
    return jnp.asarray(images)

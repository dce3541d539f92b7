"""Blurring and other small image filters."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float, Int

from fdl.arrays import Array


def correlate(
    images: Float[Array, "*batch height width channels"],
    kernel: Float[Array, "rows columns"],
) -> Float[jax.Array, "*batch height width channels"]:
    """Cross-correlate each channel with a kernel, with zero padding.

    Args:
        images: Images, channels last; any number of leading batch axes.
        kernel: Weights, of odd height and width.

    Example:
        >>> image = jnp.array([[[0.0], [3.0], [0.0]]])
        >>> correlate(image, jnp.array([[1.0, 2.0, 4.0]]))[0, :, 0]
        Array([12.,  6.,  3.], dtype=float32)
    """
    planes = jnp.moveaxis(images, -1, -3)
    flat = planes.reshape(-1, 1, *planes.shape[-2:])
    window = jnp.asarray(kernel)[None, None]
    y = lax.conv_general_dilated(flat, window, (1, 1), "SAME")
    return jnp.moveaxis(y.reshape(planes.shape), -3, -1)


def gaussian(
    size: int, sigma: Float[Array, ""], cut: Int[Array, ""] | int | None = None
) -> Float[jax.Array, " size"]:
    """Return the weights of a Gaussian blur along an axis, which sum to 1.

    Args:
        size: Number of weights, odd.
        sigma: Standard deviation, in pixels, above 0.
        cut: Number of central weights that are not set to 0, odd; None for all.

    Example:
        >>> (100 * gaussian(5, jnp.array(1.0), 3)).round()
        Array([ 0., 27., 45., 27.,  0.], dtype=float32)
    """
    far = jnp.abs(jnp.arange(size, dtype=sigma.dtype) - size // 2)
    weights = jnp.exp(-((far / sigma) ** 2) / 2)
    if cut is not None:
        weights = jnp.where(2 * far < cut, weights, 0)
    return weights / weights.sum()

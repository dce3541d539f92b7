"""Padding and upsampling of images."""

import functools
from typing import Literal

import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from fdl.arrays import Array
from fdl.ops.layers import keras_layer
from fdl.ops.windows import Pads

Method = Literal["nearest", "bilinear"]
"""How new pixels are computed: repeated, or interpolated from the four nearest."""


@keras_layer
def zero_pad(
    x: Float[Array, "*batch height width channels"], pads: Pads | int = 1
) -> Float[Array, "*batch out_height out_width channels"]:
    """Surround images with zeros, like Keras' `ZeroPadding2D`.

    Args:
        x: Images, channels last; any number of leading batch axes.
        pads: Rows above and below, columns left and right, `((top, bottom), (left,
            right))`, or one number for all four; in pixels, at least 0.

    Raises:
        ValueError: If a number is below 0.

    Example:
        >>> zero_pad(jnp.ones((1, 2, 2, 3)), ((0, 1), (2, 0))).shape
        (1, 3, 4, 3)
    """
    pads = _sides(pads)
    return jnp.pad(x, [(0, 0)] * (x.ndim - 3) + [*pads, (0, 0)])


def reflection_pad(
    x: Float[Array, "*batch height width channels"], pads: Pads | int = 1
) -> Float[Array, "*batch out_height out_width channels"]:
    """Surround images with their mirror image, like `reflect` of `keras.ops.pad`.

    The pixels at the edge are not repeated: `c b | a b c`. Unlike zeros, this avoids a
    frame around generated images (Johnson et al., 2016, arXiv:1603.08155).

    Args:
        x: Images, channels last; any number of leading batch axes.
        pads: As in `zero_pad`, and less than the height or width of the image.

    Raises:
        ValueError: If a number is below 0, or the image is too small to be mirrored.

    Example:
        >>> reflection_pad(jnp.arange(3.0).reshape(1, 3, 1), ((0, 0), (2, 1)))[0, :, 0]
        Array([2., 1., 0., 1., 2., 1.], dtype=float32)
    """
    pads = _sides(pads)
    for pixels, sides, what in zip(x.shape[-3:-1], pads, ("high", "wide"), strict=True):
        if max(sides) >= pixels:
            raise ValueError(
                f"pads={pads} must be smaller than the image, which is {pixels} pixels "
                f"{what}."
            )
    around = [(0, 0)] * (x.ndim - 3) + [*pads, (0, 0)]
    return jnp.pad(x, around, mode="reflect")


def _sides(pads: Pads | int) -> Pads:
    if isinstance(pads, int):
        pads = ((pads, pads), (pads, pads))
    if min(*pads[0], *pads[1]) < 0:
        raise ValueError(f"pads={pads} must be at least 0 on each side.")
    return pads


@keras_layer
def upsample(
    x: Float[Array, "*batch height width channels"],
    factor: tuple[int, int] = (2, 2),
    *,
    method: Method = "nearest",
) -> Float[Array, "*batch out_height out_width channels"]:
    """Enlarge images by whole factors, like Keras' `UpSampling2D`.

    Args:
        x: Images, channels last; any number of leading batch axes.
        factor: Factors for rows and columns, at least 1.
        method: `"nearest"` repeats pixels; `"bilinear"` averages the four nearest,
            weighted by the distance between pixel centers.

    Raises:
        ValueError: If a factor is below 1 or the method is unknown.

    Example:
        >>> upsample(jnp.array([[[1.0], [3.0]]]))[0, :, 0]
        Array([1., 1., 3., 3.], dtype=float32)
        >>> upsample(jnp.array([[[1.0], [3.0]]]), method="bilinear")[0, :, 0]
        Array([1. , 1.5, 2.5, 3. ], dtype=float32)
    """
    if min(factor) < 1:
        raise ValueError(f"factor={factor} must be at least 1 in each direction.")
    if method not in ("nearest", "bilinear"):
        raise ValueError(f"method={method!r} must be 'nearest' or 'bilinear'.")
    if method == "nearest":
        return jnp.repeat(jnp.repeat(x, factor[0], axis=-3), factor[1], axis=-2)
    return _interpolate_along(_interpolate_along(x, -3, factor[0]), -2, factor[1])


def _interpolate_along(
    x: Float[Array, "*shape"], axis: int, factor: int
) -> Float[Array, "*out_shape"]:
    # Each new pixel lies between an old one and one of its neighbors, so the result is
    # a sum of shifted images; XLA's resize would multiply by a matrix of mostly zeros.
    # Without barriers, XLA would recompute one axis for each pixel of the other, mainly
    # in gradients.
    if factor == 1:
        return x
    axis %= x.ndim
    part = functools.partial(lax.slice_in_dim, x, axis=axis)
    size = x.shape[axis]
    before = jnp.concatenate([part(0, 1), part(0, size - 1)], axis)
    after = jnp.concatenate([part(1, size), part(size - 1, size)], axis)
    before, after = lax.optimization_barrier((before, after))
    pixels = []
    for place in range(factor):
        distance = (place + 0.5) / factor - 0.5  # to the right of the old pixel
        neighbor = before if distance < 0 else after
        pixels.append(x * (1 - abs(distance)) + neighbor * abs(distance))
    y = jnp.stack(lax.optimization_barrier(pixels), axis + 1)
    return y.reshape(*x.shape[:axis], factor * size, *x.shape[axis + 1 :])

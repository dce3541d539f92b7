"""Images made larger: a border of zeros, or more pixels."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Float

from fdl.arrays import Array
from fdl.ops.windows import Pads

Method = Literal["nearest", "bilinear"]
"""How new pixels are found: repeated, or weighed by distance to the four around."""


def zero_pad(
    x: Float[Array, "*batch height width channels"], pads: Pads | int = 1
) -> Float[Array, "*batch out_height out_width channels"]:
    """Surround images with zeros, as Keras' `ZeroPadding2D`.

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
    if isinstance(pads, int):
        pads = ((pads, pads), (pads, pads))
    if min(*pads[0], *pads[1]) < 0:
        raise ValueError(f"pads={pads} must be 0 or more on each side.")
    return jnp.pad(x, [(0, 0)] * (x.ndim - 3) + [*pads, (0, 0)])


def upsample(
    x: Float[Array, "*batch height width channels"],
    factor: tuple[int, int] = (2, 2),
    *,
    method: Method = "nearest",
) -> Float[Array, "*batch out_height out_width channels"]:
    """Make images larger by whole factors, as Keras' `UpSampling2D`.

    Args:
        x: Images, channels last; any number of leading batch axes.
        factor: How many times as many rows and columns, at least 1.
        method: `"nearest"` repeats pixels; `"bilinear"` takes the means of the four
            nearest, weighed by distance between pixel centers.

    Raises:
        ValueError: If a factor is below 1 or the method is not known.

    Example:
        >>> upsample(jnp.array([[[1.0], [3.0]]]))[0, :, 0]
        Array([1., 1., 3., 3.], dtype=float32)
        >>> upsample(jnp.array([[[1.0], [3.0]]]), method="bilinear")[0, :, 0]
        Array([1. , 1.5, 2.5, 3. ], dtype=float32)
    """
    if min(factor) < 1:
        raise ValueError(f"factor={factor} must be 1 or more each way.")
    if method not in ("nearest", "bilinear"):
        raise ValueError(f"method={method!r} is not known; use 'nearest', 'bilinear'.")
    if method == "nearest":
        return jnp.repeat(jnp.repeat(x, factor[0], axis=-3), factor[1], axis=-2)
    *batch, height, width, channels = x.shape
    shape = (*batch, height * factor[0], width * factor[1], channels)
    return jax.image.resize(x, shape, "bilinear")

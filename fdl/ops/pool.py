"""Pooling of images."""

import functools

import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from fdl.arrays import Array
from fdl.ops.windows import Implementation, Padding, border, resolve, taps


def max_pool(
    x: Float[Array, "*batch height width channels"],
    window: tuple[int, int] = (2, 2),
    *,
    strides: tuple[int, int] | None = None,
    padding: Padding = "valid",
    implementation: Implementation | None = None,
) -> Float[Array, "*batch out_height out_width channels"]:
    """Keep the largest pixel of each window (Ranzato et al., 2007).

    The function of Keras' `MaxPooling2D`, its gradient included: where several pixels
    of a window are equally large, the first one, row by row, gets all of it.

    Args:
        x: Images, channels last; any number of leading batch axes.
        window: Height and width of the window, in pixels, at least 1.
        strides: Step of the window in each direction; None for the window's own size.
        padding: `"valid"` drops pixels at the end that fill no window; `"same"` pads
            with minus infinity.
        implementation: `"xla"` for XLA's window reduction, whose gradient is slow on
            CPU; `"gemm"` for maxima of shifted slices; None to choose by platform.

    Raises:
        ValueError: If no window fits or an option is out of range.

    Example:
        >>> max_pool(jnp.arange(16.0).reshape(4, 4, 1))[..., 0]
        Array([[ 5.,  7.],
               [13., 15.]], dtype=float32)
    """
    strides = window if strides is None else strides
    *batch, height, width, _ = x.shape
    pads = border((height, width), window, strides, padding)
    pads = [(0, 0)] * len(batch) + [*pads, (0, 0)]
    if resolve(implementation) == "xla":
        ones = (1,) * len(batch)
        return lax.reduce_window(
            x, -jnp.inf, lax.max, (*ones, *window, 1), (*ones, *strides, 1), pads
        )
    if any(before + after for before, after in pads):
        x = jnp.pad(x, pads, constant_values=-jnp.inf)
    return functools.reduce(_first_maximum, taps(x, window, strides))


def _first_maximum(
    a: Float[Array, "*shape"], b: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    # Not jnp.maximum: it splits the gradient between equal values, and after a ReLU
    # most windows hold several equal zeros. NaN wins, as it does in lax.max.
    return jnp.where((b > a) | jnp.isnan(b), b, a)

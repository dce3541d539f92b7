"""Pooling of images."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from fdl.arrays import Array
from fdl.ops.layers import keras_layer
from fdl.ops.windows import Implementation, Padding, border, resolve, taps


@keras_layer
def max_pool(
    x: Float[Array, "*batch height width channels"],
    window: tuple[int, int] = (2, 2),
    *,
    strides: tuple[int, int] | None = None,
    padding: Padding = "valid",
    implementation: Implementation | None = None,
) -> Float[Array, "*batch out_height out_width channels"]:
    """Keep the largest pixel of each window (Ranzato et al., 2007).

    The function of Keras' `MaxPooling2D`, including its gradient: if several pixels of
    a window are equally large, the first one, row by row, receives all of it.

    Args:
        x: Images, channels last; any number of leading batch axes.
        window: Height and width of the window, in pixels, at least 1.
        strides: Step of the window in each direction; None for the window's own size.
        padding: `"valid"` drops pixels at the end that do not fill a window; `"same"`
            pads with minus infinity.
        implementation: `"xla"` for XLA's window reduction, whose gradient is slow on
            CPU and GPU; `"tuned"` for a gradient by slices; None for `"tuned"` on CPU
            and GPU, `"xla"` elsewhere.

    Raises:
        ValueError: If no window fits or an option is out of range.

    Example:
        >>> max_pool(jnp.arange(16.0).reshape(4, 4, 1))[..., 0]
        Array([[ 5.,  7.],
               [13., 15.]], dtype=float32)
    """
    strides = window if strides is None else strides
    x = jnp.asarray(x)
    *batch, height, width, _ = x.shape
    pads = border((height, width), window, strides, padding)
    pads = [(0, 0)] * len(batch) + [*pads, (0, 0)]
    padded = any(before + after for before, after in pads)
    if resolve(implementation) == "xla":
        return _reduce_windows(x, window, strides, pads)
    if strides == window and not padded:
        return _max_of_blocks(x, window)
    if padded:
        x = jnp.pad(x, pads, constant_values=-jnp.inf)
    return functools.reduce(_first_maximum, taps(x, window, strides))


@keras_layer
def avg_pool(
    x: Float[Array, "*batch height width channels"],
    window: tuple[int, int] = (2, 2),
    *,
    strides: tuple[int, int] | None = None,
    padding: Padding = "valid",
) -> Float[Array, "*batch out_height out_width channels"]:
    """Average the pixels of each window (LeCun et al., 1989).

    The function of Keras' `AveragePooling2D`: with `"same"` padding, the mean is over
    the pixels of the image that a window covers, without the border.

    Args:
        x: Images, channels last; any number of leading batch axes.
        window: Height and width of the window, in pixels, at least 1.
        strides: Step of the window in each direction; None for the window's own size.
        padding: `"valid"` drops pixels at the end that do not fill a window; `"same"`
            gives outputs of `ceil(size / stride)` pixels.

    Raises:
        ValueError: If no window fits or an option is out of range.

    Example:
        >>> avg_pool(jnp.arange(16.0).reshape(4, 4, 1))[..., 0]
        Array([[ 2.5,  4.5],
               [10.5, 12.5]], dtype=float32)
    """
    strides = window if strides is None else strides
    x = jnp.asarray(x)
    *batch, height, width, _ = x.shape
    pads = border((height, width), window, strides, padding)
    image_pads = [(0, 0)] * len(batch) + [*pads, (0, 0)]

    def sums(x: Float[Array, "*shape"]) -> Float[Array, "*out_shape"]:
        seen = taps(jnp.pad(x, image_pads[-x.ndim :]), window, strides)
        return functools.reduce(jnp.add, seen)

    y = sums(x)
    counts = sums(jnp.ones((height, width, 1), x.dtype))
    return y / jnp.broadcast_to(counts, y.shape)


@keras_layer
def global_max_pool(
    x: Float[Array, "*batch height width channels"],
) -> Float[Array, "*batch channels"]:
    """Keep the largest pixel of each channel, like Keras' `GlobalMaxPooling2D`.

    If several pixels are equally large, they share the gradient, as in Keras.

    Example:
        >>> global_max_pool(jnp.arange(8.0).reshape(2, 2, 2))
        Array([6., 7.], dtype=float32)
    """
    return jnp.max(x, axis=(-3, -2))


@keras_layer
def global_avg_pool(
    x: Float[Array, "*batch height width channels"],
) -> Float[Array, "*batch channels"]:
    """Average each channel (Lin et al., 2014), like Keras' `GlobalAveragePooling2D`.

    Example:
        >>> global_avg_pool(jnp.arange(8.0).reshape(2, 2, 2))
        Array([3., 4.], dtype=float32)
    """
    return jnp.mean(x, axis=(-3, -2))


def _reduce_windows(
    x: Float[Array, "*batch height width channels"],
    window: tuple[int, int],
    strides: tuple[int, int],
    pads: Sequence[tuple[int, int]],
) -> Float[Array, "*batch out_height out_width channels"]:
    ones = (1,) * (x.ndim - 3)
    return lax.reduce_window(
        x, -jnp.inf, lax.max, (*ones, *window, 1), (*ones, *strides, 1), pads
    )


def _first_maximum(
    a: Float[Array, "*shape"], b: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    # jnp.maximum would split the gradient between equal values, and after a ReLU most
    # windows hold several zeros. NaN wins, as in lax.max.
    return jnp.where((b > a) | jnp.isnan(b), b, a)


# The usual case, windows side by side: XLA's reduction is fast, and the derivative
# selects within each block, which needs no scattering.
@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _max_of_blocks(
    x: Float[Array, "*batch height width channels"], window: tuple[int, int]
) -> Float[Array, "*batch out_height out_width channels"]:
    return _reduce_windows(x, window, window, [(0, 0)] * x.ndim)


@_max_of_blocks.defjvp
def _max_of_blocks_jvp(
    window: tuple[int, int],
    primals: tuple[Float[Array, "*batch height width channels"]],
    tangents: tuple[Float[Array, "*batch height width channels"]],
) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    y = _max_of_blocks(x, window)
    blocks = _blocks(x, window)
    count = window[0] * window[1]
    place = jnp.arange(count, dtype=jnp.int32).reshape(window[0], 1, window[1], 1)
    place = jnp.broadcast_to(place, blocks.shape)
    # Use a reduction: XLA on CPU would recompute anything else for each pixel.
    largest = ~(blocks < y[..., :, None, :, None, :])
    first = jnp.min(jnp.where(largest, place, count), axis=(-4, -2))
    chosen = first[..., :, None, :, None, :] == place
    return y, jnp.sum(jnp.where(chosen, _blocks(dx, window), 0), axis=(-4, -2))


def _blocks(
    x: Float[Array, "*batch height width channels"], window: tuple[int, int]
) -> Float[Array, "*batch rows {window[0]} columns {window[1]} channels"]:
    """Cut images into windows, dropping pixels at the end that do not fill one."""
    *batch, height, width, channels = x.shape
    rows, columns = height // window[0], width // window[1]
    x = x[..., : rows * window[0], : columns * window[1], :]
    return x.reshape(*batch, rows, window[0], columns, window[1], channels)

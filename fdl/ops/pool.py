"""Pooling of images."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from fdl.arrays import Array
from fdl.ops.layers import keras_layer
from fdl.ops.rules import Implementation, joins_convolution, resolve
from fdl.ops.windows import Padding, Pads, border


@keras_layer
def max_pool(
    x: Float[Array, "*batch height width channels"],
    window: tuple[int, int] = (2, 2),
    *,
    strides: tuple[int, int] | None = None,
    padding: Padding = "valid",
    implementation: Implementation | None = None,
) -> Float[Array, "*batch out_height out_width channels"]:
    """Return the largest pixel of each window (Ranzato et al., 2007).

    The function of Keras' `MaxPooling2D`, including its gradient: if several pixels of
    a window are equally large, the first, row by row, receives the whole gradient.

    Caffe and PyTorch can round the number of windows up (`ceil_mode`). For windows of 3
    and strides of 2, this equals `"same"` if the number of pixels is even, and
    `"valid"` if it is odd.

    Args:
        x: Images, channels last; any number of leading batch axes.
        window: Height and width of the window, in pixels, at least 1.
        strides: Stride of the window in each direction; None for the window's own size.
        padding: `"valid"` drops pixels at the end that do not fill a window; `"same"`
            pads with minus infinity.
        implementation: `"xla"` for XLA's window reduction, whose gradient is slow on
            CPU and GPU; `"tuned"` for a gradient from slices; None for `"tuned"` on CPU
            and GPU, and `"xla"` elsewhere.

    Raises:
        ValueError: If no window fits or an option is out of range.

    Example:
        >>> max_pool(jnp.arange(16.0).reshape(4, 4, 1))[..., 0]
        Array([[ 5.,  7.],
               [13., 15.]], dtype=float32)
    """
    strides = window if strides is None else strides
    x = jnp.asarray(x)
    pads = border((x.shape[-3], x.shape[-2]), window, strides, padding)
    if resolve(implementation) == "xla":
        return _reduce_windows(x, lax.max, -jnp.inf, window, strides, pads)
    return _maximum(x, window, strides, pads)


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
    the pixels of the image in a window, without the padding.

    Args:
        x: Images, channels last; any number of leading batch axes.
        window: Height and width of the window, in pixels, at least 1.
        strides: Stride of the window in each direction; None for the window's own size.
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
    pads = border((x.shape[-3], x.shape[-2]), window, strides, padding)
    rows = _counts(x.shape[-3], window[0], strides[0], pads[0])
    columns = _counts(x.shape[-2], window[1], strides[1], pads[1])
    counts = np.multiply.outer(rows, columns).reshape(
        *(1,) * (x.ndim - 3), len(rows), -1, 1
    )
    return _sum(x, window, strides, pads) / jnp.asarray(counts, x.dtype)


@keras_layer
def global_max_pool(
    x: Float[Array, "*batch height width channels"],
) -> Float[Array, "*batch channels"]:
    """Return the largest pixel of each channel, like Keras' `GlobalMaxPooling2D`.

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
    combine: Callable[[Array, Array], Array],
    fill: float,
    window: tuple[int, int],
    strides: tuple[int, int],
    pads: Pads,
) -> Float[Array, "*batch out_height out_width channels"]:
    lead = x.ndim - 3
    return lax.reduce_window(
        x,
        np.array(fill, x.dtype),  # a JAX array would hide the kind of reduction
        combine,
        (*(1,) * lead, *window, 1),
        (*(1,) * lead, *strides, 1),
        [(0, 0)] * lead + [*pads, (0, 0)],
    )


def _maximum_by_axes(
    x: Float[Array, "*batch height width channels"],
    window: tuple[int, int],
    strides: tuple[int, int],
    pads: Pads,
) -> Float[Array, "*batch out_height out_width channels"]:
    # First the maximum of each row of a window, then that of the rows: the first of
    # equal pixels, row by row, comes first in both.
    x = _maximum_along(x, -2, window[1], strides[1], pads[1])
    return _maximum_along(x, -3, window[0], strides[0], pads[0])


def _sum_by_axes(
    x: Float[Array, "*batch height width channels"],
    window: tuple[int, int],
    strides: tuple[int, int],
    pads: Pads,
) -> Float[Array, "*batch out_height out_width channels"]:
    for axis, how in ((-3, 0), (-2, 1)):
        seen = _shifts(x, axis, window[how], strides[how], pads[how], fill=0.0)
        x = functools.reduce(jnp.add, seen)
    return x


def _pooling(
    by_axes: Callable[..., Array],
    combine: Callable[[Array, Array], Array],
    fill: float,
) -> Callable[..., Array]:
    """Return a pooling axis by axis; without derivatives, by XLA where it is faster."""

    @functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3))
    def pool(
        x: Array, window: tuple[int, int], strides: tuple[int, int], pads: Pads
    ) -> Array:
        if joins_convolution(window, strides):
            return _reduce_windows(x, combine, fill, window, strides, pads)
        return by_axes(x, window, strides, pads)

    @pool.defjvp
    def jvp(
        window: tuple[int, int],
        strides: tuple[int, int],
        pads: Pads,
        primals: tuple[Array],
        tangents: tuple[Array],
    ) -> tuple[Array, Array]:
        return jax.jvp(lambda x: by_axes(x, window, strides, pads), primals, tangents)

    return pool


_maximum = _pooling(_maximum_by_axes, lax.max, -jnp.inf)
_sum = _pooling(_sum_by_axes, lax.add, 0.0)


def _shifts(
    x: Float[Array, "*shape"],
    axis: int,
    window: int,
    stride: int,
    pads: tuple[int, int],
    fill: float,
) -> list[Float[Array, "*out_shape"]]:
    """Return, for each position in a window along an axis, the pixels there."""
    axis %= x.ndim
    around = [(*pads, 0) if i == axis else (0, 0, 0) for i in range(x.ndim)]
    x = lax.pad(x, jnp.asarray(fill, x.dtype), around)
    last = (x.shape[axis] - window) // stride * stride
    return [
        lax.slice_in_dim(x, place, place + last + 1, stride, axis)
        for place in range(window)
    ]


def _counts(size: int, window: int, stride: int, pads: tuple[int, int]) -> np.ndarray:
    """Return the number of pixels in each window along an axis, without padding."""
    start = np.arange(0, size + sum(pads) - window + 1, stride) - pads[0]
    return np.minimum(start + window, size) - np.maximum(start, 0)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3, 4))
def _maximum_along(
    x: Float[Array, "*shape"],
    axis: int,
    window: int,
    stride: int,
    pads: tuple[int, int],
) -> Float[Array, "*out_shape"]:
    seen = _shifts(x, axis, window, stride, pads, fill=-jnp.inf)
    return functools.reduce(jnp.maximum, seen)


@_maximum_along.defjvp
def _maximum_along_jvp(
    axis: int,
    window: int,
    stride: int,
    pads: tuple[int, int],
    primals: tuple[Float[Array, "*shape"]],
    tangents: tuple[Float[Array, "*shape"]],
) -> tuple[Array, Array]:
    # jnp.maximum would split the gradient between equal values, and after a ReLU most
    # windows contain several zeros. NaN counts as the largest, as in lax.max.
    (x,), (dx,) = primals, tangents
    y = _maximum_along(x, axis, window, stride, pads)
    dy = jnp.zeros_like(y)
    found = jnp.zeros(y.shape, bool)
    values = _shifts(x, axis, window, stride, pads, fill=-jnp.inf)
    moves = _shifts(dx, axis, window, stride, pads, fill=0.0)
    for value, move in zip(values, moves, strict=True):
        largest = ~(value < y)
        dy = dy + jnp.where(largest & ~found, move, 0)
        found = found | largest
    return y, dy

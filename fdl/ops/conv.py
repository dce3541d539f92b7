"""Convolution of images and its transpose (LeCun et al., 1989)."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from fdl.arrays import Array
from fdl.ops.dense import dense
from fdl.ops.windows import Implementation, Padding, Pads, border, resolve, taps
from fdl.ranges import require_whole


def conv(
    x: Float[Array, "*batch height width channels"],
    kernel: Float[Array, "kernel_height kernel_width group_channels features"],
    *,
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "valid",
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    implementation: Implementation | None = None,
) -> Float[Array, "*batch out_height out_width features"]:
    """Cross-correlate images with a bank of kernels (LeCun et al., 1989).

    `y[m, n, f] = sum_{p, q, c} x[m s + p d, n s + q d, c] kernel[p, q, c, f]`, the
    function of Keras' `Conv2D` without its bias. Kernels are not flipped.

    Args:
        x: Images, channels last; any number of leading batch axes, none included.
        kernel: One kernel for each output feature.
        strides: Step `s` of the window down and across, in pixels, at least 1.
        padding: `"valid"`, or `"same"` for outputs of `ceil(size / stride)` pixels.
        dilation: Distance `d` between the pixels of a window (Yu & Koltun, 2016,
            arXiv:1511.07122), at least 1.
        groups: Number of groups that channels and features are split into; each group
            of features sees one group of channels (Krizhevsky et al., 2012).
        implementation: `"xla"` for XLA's convolution; `"tuned"` for a matrix product
            over the pixels of each window, whose derivative stays fast on CPU inside
            loops and under `vmap` over kernels; None to choose by platform: when a
            derivative is taken, `"tuned"` on CPU and, for small windows, on GPU;
            otherwise `"xla"`.

    Raises:
        ValueError: If the channels of `x` and `kernel` do not match, no window fits,
            or an option is out of range.

    Example:
        >>> x = jnp.ones((2, 28, 28, 1))
        >>> conv(x, jnp.ones((3, 3, 1, 32))).shape
        (2, 26, 26, 32)
        >>> conv(x, jnp.ones((3, 3, 1, 32)), strides=(2, 2), padding="same").shape
        (2, 14, 14, 32)
    """
    x, kernel = jnp.asarray(x), jnp.asarray(kernel)
    height, width, channels = x.shape[-3:]
    *window, group_channels, features = kernel.shape
    window = (window[0], window[1])
    if groups < 1 or channels % groups or features % groups:
        raise ValueError(
            f"groups={groups} must divide {channels} channels and {features} features."
        )
    if channels != group_channels * groups:
        raise ValueError(
            f"images have {channels} channels, but the kernel expects "
            f"{group_channels * groups}: shapes {x.shape} and {kernel.shape}."
        )
    pads = border((height, width), window, strides, padding, dilation)
    form = _Form(window, strides, pads, dilation, groups)
    lower = _lower(implementation, form, group_channels)
    if implementation is None and lower is _gemm and groups == 1:
        lower = _gemm_if_differentiated
    return lower(x, kernel, form)


def conv_transpose(
    x: Float[Array, "*batch height width channels"],
    kernel: Float[Array, "kernel_height kernel_width features channels"],
    *,
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "valid",
    implementation: Implementation | None = None,
) -> Float[Array, "*batch out_height out_width features"]:
    """Apply the transpose of a convolution (Zeiler et al., 2010).

    The gradient of `conv` with respect to its image, as a linear map: each pixel of `x`
    adds a multiple of the kernel to the output. The function of Keras'
    `Conv2DTranspose` without its bias.

    Args:
        x: Images, channels last; any number of leading batch axes, none included.
        kernel: One kernel for each input channel; features come before channels.
        strides: Distance in the output, in pixels, between neighbors in `x`.
        padding: `"same"` for outputs of `size * stride` pixels; `"valid"` for
            every pixel that the kernel reaches, `(size - 1) * stride + max(window,
            stride)`.
        implementation: As in `conv`.

    Raises:
        ValueError: If the channels of `x` and `kernel` differ or an option is out of
            range.

    Example:
        >>> x = jnp.ones((2, 7, 7, 16))
        >>> kernel = jnp.ones((4, 4, 8, 16))
        >>> conv_transpose(x, kernel, strides=(2, 2), padding="same").shape
        (2, 14, 14, 8)
    """
    x, kernel = jnp.asarray(x), jnp.asarray(kernel)
    *batch, height, width, channels = x.shape
    *window, features, kernel_channels = kernel.shape
    window = (window[0], window[1])
    if channels != kernel_channels:
        raise ValueError(
            f"images have {channels} channels, but the kernel expects "
            f"{kernel_channels}: shapes {x.shape} and {kernel.shape}."
        )
    require_whole("[1, inf)", strides=strides)
    reach = window if padding == "valid" else (0, 0)
    size = (
        (height - 1) * strides[0] + max(reach[0], strides[0]),
        (width - 1) * strides[1] + max(reach[1], strides[1]),
    )
    pads = border(size, window, strides, padding)
    form = _Form(window, strides, pads, dilation=(1, 1), groups=1)
    lower = _lower(implementation, form, features)
    image = jax.ShapeDtypeStruct((*batch, *size, features), x.dtype)
    (y,) = jax.linear_transpose(lambda image: lower(image, kernel, form), image)(x)
    return y


class _Form(NamedTuple):
    """The static options of a convolution."""

    window: tuple[int, int]
    strides: tuple[int, int]
    pads: Pads
    dilation: tuple[int, int]
    groups: int


Images = Float[Array, "*batch height width channels"]
Kernel = Float[Array, "kernel_height kernel_width group_channels features"]
Features = Float[Array, "*batch out_height out_width features"]


# Values under one window, as measured. On a GPU, longer rows do more arithmetic for
# each byte they move, and there the vendor's convolutions win.
_LONGEST_ROW = 576


def _lower(
    implementation: Implementation | None, form: _Form, channels: int
) -> Callable[[Images, Kernel, _Form], Features]:
    """Return the requested lowering, or the one with the faster derivative."""
    row = form.window[0] * form.window[1] * channels
    small = row <= _LONGEST_ROW and form.groups == 1  # groups: measured on CPU only
    way = resolve(implementation, tuned_on=("cpu", "gpu") if small else ("cpu",))
    return _xla if way == "xla" else _gemm


def _xla(x: Images, kernel: Kernel, form: _Form) -> Features:
    y = lax.conv_general_dilated(
        jnp.reshape(x, (-1, *x.shape[-3:])),
        jnp.asarray(kernel),
        window_strides=form.strides,
        padding=form.pads,
        rhs_dilation=form.dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=form.groups,
    )
    return y.reshape(*x.shape[:-3], *y.shape[1:])


def _gemm(x: Images, kernel: Kernel, form: _Form) -> Features:
    # Lay the pixels under each window side by side, then take one product. The
    # derivative is again slices, additions and two products, none of XLA's slow
    # convolutions.
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 3) + [*form.pads, (0, 0)])
    if form.strides != (1, 1) and form.dilation == (1, 1) and form.groups == 1:
        (height, width), (down, across) = form.window, form.strides
        if height % down == 0 and width % across == 0:
            x, kernel, form = _blocks(x, kernel, form)
    seen = taps(x, form.window, form.strides, form.dilation)
    *_, group_channels, features = kernel.shape
    if form.groups == 1:
        return dense(jnp.concatenate(seen, axis=-1), kernel.reshape(-1, features))
    if group_channels == 1:
        return _depthwise(seen, kernel.reshape(len(seen), form.groups, -1))
    split = [tap.reshape(*tap.shape[:-1], form.groups, group_channels) for tap in seen]
    patches = jnp.concatenate(split, axis=-1)
    kernel = kernel.reshape(len(seen) * group_channels, form.groups, -1)
    y = jnp.einsum("...gk,kgf->...gf", patches, kernel)
    return y.reshape(*y.shape[:-2], features)


def _blocks(
    x: Images, kernel: Kernel, form: _Form
) -> tuple[
    Float[Array, "*batch rows columns block"],
    Float[Array, "window_rows window_columns block features"],
    _Form,
]:
    # If windows are a whole number of strides wide, they cover whole blocks of pixels.
    # With the pixels of a block as channels, the stride becomes 1, and the slices are
    # fewer and longer.
    (down, across), (height, width) = form.strides, form.window
    rows = (x.shape[-3] - height) // down + height // down
    columns = (x.shape[-2] - width) // across + width // across
    *batch, _, _, channels = x.shape
    x = x[..., : rows * down, : columns * across, :]
    x = x.reshape(*batch, rows, down, columns, across, channels)
    x = jnp.swapaxes(x, -4, -3).reshape(*batch, rows, columns, -1)
    window = (height // down, width // across)
    kernel = kernel.reshape(window[0], down, window[1], across, channels, -1)
    kernel = jnp.swapaxes(kernel, 1, 2)
    kernel = kernel.reshape(*window, down * across * channels, -1)
    return x, kernel, form._replace(strides=(1, 1), window=window)


def _depthwise(
    seen: Sequence[Images], kernel: Float[Array, "taps channels multiplier"]
) -> Features:
    # Channels do not mix, so no product is needed: one addition for each tap.
    def weigh(tap: Images, weight: Array) -> Features:
        shape = (*tap.shape, weight.shape[-1])
        y = tap[..., None] * jnp.broadcast_to(weight, shape)
        return y.reshape(*tap.shape[:-1], -1)

    weighed = [weigh(tap, weight) for tap, weight in zip(seen, kernel, strict=True)]
    return functools.reduce(jnp.add, weighed)


# Without groups and without a derivative, XLA's convolution is up to four times faster
# on CPU than the product, especially for large batches. Only its derivative is slow.
@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _gemm_if_differentiated(x: Images, kernel: Kernel, form: _Form) -> Features:
    return _xla(x, kernel, form)


@_gemm_if_differentiated.defjvp
def _gemm_jvp(
    form: _Form, primals: tuple[Images, Kernel], tangents: tuple[Images, Kernel]
) -> tuple[Features, Features]:
    return jax.jvp(lambda x, k: _gemm(x, k, form), primals, tangents)

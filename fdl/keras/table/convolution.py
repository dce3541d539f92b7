"""Convolutions in one, two and three dimensions."""

from typing import Any

import jax.numpy as jnp
from jax import lax

from fdl import ops
from fdl.arrays import Array
from fdl.keras.table.core import add_bias
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.layout import either_layout
from fdl.keras.table.options import (
    BIAS,
    KERNEL,
    Option,
    anything,
    choice,
    optional,
    several,
    weight,
    whole,
)


def convolve(
    x: Array, kernel: Array, strides: tuple, padding: str, dilation: tuple, groups: int
) -> Array:
    """Convolve sequences, images or volumes with one batch axis."""
    axes = len(strides)
    dtype = jnp.promote_types(x.dtype, kernel.dtype)
    x, kernel = jnp.asarray(x, dtype), jnp.asarray(kernel, dtype)
    if padding == "causal":
        before = (kernel.shape[0] - 1) * dilation[0]
        x, padding = jnp.pad(x, [(0, 0), (before, 0), (0, 0)]), "valid"
    if axes == 3:
        y = lax.conv_general_dilated(
            x,
            kernel,
            window_strides=strides,
            padding=padding.upper(),
            rhs_dilation=dilation,
            dimension_numbers=("NDHWC", "DHWIO", "NDHWC"),
            feature_group_count=groups,
        )
        if 0 in y.shape:
            raise ValueError(
                f"a kernel of size {kernel.shape[:3]} does not fit into {x.shape}"
            )
        return y
    if axes == 1:  # an image one pixel high
        strides, dilation = (1, *strides), (1, *dilation)
        x, kernel = x[:, None], kernel[None]
    y = ops.conv(
        x,
        kernel,
        strides=strides,
        padding=padding,  # pyright: ignore[reportArgumentType]
        dilation=dilation,
        groups=groups,
    )
    return y[:, 0] if axes == 1 else y


def _conv(run: Run, x: Array) -> Array:
    o = run.options
    groups = o["groups"]
    shape = (*o["kernel_size"], x.shape[-1] // groups, o["filters"])
    kernel = run.weight("kernel", shape)
    y = convolve(x, kernel, o["strides"], o["padding"], o["dilation_rate"], groups)
    return add_bias(run, y)


def _depthwise_kernel(run: Run, x: Array) -> Array:
    o = run.options
    shape = (*o["kernel_size"], x.shape[-1], o["depth_multiplier"])
    kernel = run.weight("depthwise_kernel", shape, "depthwise")
    return kernel.reshape(*o["kernel_size"], 1, -1)


def _depthwise(run: Run, x: Array) -> Array:
    o = run.options
    # Named `kernel`, as in older files and in `fdl.nn.DepthwiseConv2D`.
    shape = (*o["kernel_size"], x.shape[-1], o["depth_multiplier"])
    kernel = run.weight("kernel", shape, "depthwise")
    kernel = kernel.reshape(*o["kernel_size"], 1, -1)
    y = convolve(x, kernel, o["strides"], o["padding"], o["dilation_rate"], x.shape[-1])
    return add_bias(run, y)


def _separable(run: Run, x: Array) -> Array:
    o = run.options
    axes = len(o["strides"])
    depthwise = _depthwise_kernel(run, x)
    shape = ((1,) * axes) + (depthwise.shape[-1], o["filters"])
    pointwise = run.weight("pointwise_kernel", shape, "pointwise")
    channels = x.shape[-1]
    x = convolve(x, depthwise, o["strides"], o["padding"], o["dilation_rate"], channels)
    one = (1,) * axes
    y = convolve(x, pointwise, one, "valid", one, 1)
    return add_bias(run, y)


def _transposed(run: Run, x: Array) -> Array:
    o = run.options
    kernel = run.weight("kernel", (*o["kernel_size"], o["filters"], x.shape[-1]))
    dilation, extra = o["dilation_rate"], o["output_padding"]
    y = _transpose(x, kernel, o["strides"], o["padding"], extra, dilation)
    return add_bias(run, y)


def _transpose(
    x: Array, kernel: Array, strides: tuple, padding: str, extra: Any, dilation: tuple
) -> Array:
    dtype = jnp.promote_types(x.dtype, kernel.dtype)
    x, kernel = jnp.asarray(x, dtype), jnp.asarray(kernel, dtype)
    if extra is None and len(strides) == 2 and max(dilation) == 1:
        return ops.conv_transpose(
            x,
            kernel,
            strides=strides,
            padding=padding,  # pyright: ignore[reportArgumentType]
        )
    images, kernels = {
        1: ("NWC", "WIO"),
        2: ("NHWC", "HWIO"),
        3: ("NDHWC", "DHWIO"),
    }[len(strides)]
    pads = [
        _pads((window - 1) * spread + 1, step, padding, more)
        for window, step, more, spread in zip(
            kernel.shape[:-2],
            strides,
            extra or (None,) * len(strides),
            dilation,
            strict=True,
        )
    ]
    return lax.conv_transpose(
        x,
        kernel,
        strides,
        padding=pads,
        rhs_dilation=dilation,
        dimension_numbers=(images, kernels, images),
        transpose_kernel=True,
    )


def _pads(window: int, step: int, padding: str, more: int | None) -> tuple[int, int]:
    """Return the padding of the dilated image; `more` is Keras' `output_padding`."""
    if padding == "valid":
        more = max(window, step) - window if more is None else more
        return window - 1, window - 1 + more
    whole = step + window - 2 if more is None else window + window % 2 - 2 + more
    before = min(whole // 2 + whole % 2, window - 1)
    return before, whole - before


def _options(axes: int, *padding: str) -> dict[str, Option]:
    return {
        "kernel_size": Option(several(whole(), axes)),
        "strides": Option(several(whole(), axes), 1),
        "padding": Option(choice("valid", "same", *padding), "valid"),
        "dilation_rate": Option(several(whole(), axes), 1),
        **BIAS,
    }


FILTERS = {"filters": Option(whole())}
_GROUPS = Option(whole(), 1)
_MULTIPLIER = {"depth_multiplier": Option(whole(), 1)}
_DEPTHWISE = {**_MULTIPLIER, **weight("depthwise", "GlorotUniform")}
_POINTWISE = weight("pointwise", "GlorotUniform")


def _conv_entry(axes: int) -> Entry:
    own = _options(axes, *(["causal"] if axes == 1 else []))
    options = {**FILTERS, **KERNEL, "groups": _GROUPS, **own}
    return either_layout(Entry(_conv, options), activates=True)


def _transposed_entry(axes: int) -> Entry:
    extra = Option(optional(several(whole(0), axes)), None)
    options = {**FILTERS, **KERNEL, "output_padding": extra, **_options(axes)}
    return either_layout(Entry(_transposed, options), activates=True)


def _depthwise_entry(axes: int) -> Entry:
    # Files of Keras 2 have options of `Conv2D` that have no effect here.
    old = {"groups": Option(anything, None), "filters": Option(anything, None)}
    options = {**_DEPTHWISE, **old, **_options(axes)}
    return either_layout(Entry(_depthwise, options), activates=True)


def _separable_entry(axes: int) -> Entry:
    options = {**FILTERS, **_DEPTHWISE, **_POINTWISE, **_options(axes)}
    return either_layout(Entry(_separable, options), activates=True)


LAYERS = {
    **{f"Conv{axes}D": _conv_entry(axes) for axes in (1, 2, 3)},
    **{f"Conv{axes}DTranspose": _transposed_entry(axes) for axes in (1, 2, 3)},
    **{f"DepthwiseConv{axes}D": _depthwise_entry(axes) for axes in (1, 2)},
    **{f"SeparableConv{axes}D": _separable_entry(axes) for axes in (1, 2)},
}

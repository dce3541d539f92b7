"""Functions of `keras.ops` for images: windows, patches, sizes and colors."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from fdl import imaging
from fdl.arrays import Array
from fdl.keras.graph.description import with_options
from fdl.keras.table.convolution import convolve
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.layout import either_layout
from fdl.keras.table.options import (
    MOST_REPEATED,
    Option,
    choice,
    either,
    flag,
    number,
    optional,
    several,
    whole,
)
from fdl.keras.table.pooling import pool
from fdl.keras.table.resizing import METHODS, resized


def _each(value: Any, x: Array) -> tuple[int, ...]:
    """Return an option for each axis of space."""
    given = value if isinstance(value, tuple) else (value,)
    return given * (x.ndim - 2) if len(given) == 1 else given


def _pool(largest: bool) -> Callable[..., Array]:
    def run_pool(run: Run, x: Array) -> Array:
        o, window = run.options, _each(run.options["pool_size"], x)
        strides = _each(o["strides"] or window, x)
        return pool(with_options(o, pool_size=window, strides=strides), x, largest)

    return run_pool


def _convolve(run: Run, x: Array, kernel: Array, padding: str, groups: int) -> Array:
    strides, spread = (_each(run.options[k], x) for k in ("strides", "dilation_rate"))
    return convolve(x, kernel, strides, padding, spread, groups)


def _conv(run: Run, x: Array, kernel: Any) -> Array:
    kernel = jnp.asarray(kernel)
    groups = x.shape[-1] // kernel.shape[-2]
    return _convolve(run, x, kernel, run.options["padding"], groups)


def _depthwise(run: Run, x: Array, kernel: Any) -> Array:
    kernel = jnp.asarray(kernel)
    kernel = kernel.reshape(*kernel.shape[:-2], 1, -1)
    return _convolve(run, x, kernel, run.options["padding"], x.shape[-1])


def _separable(run: Run, x: Array, depthwise: Any, pointwise: Any) -> Array:
    y, one = _depthwise(run, x, depthwise), (1,) * (x.ndim - 2)
    return convolve(y, jnp.asarray(pointwise), one, "valid", one, 1)


def _patches(run: Run, x: Array) -> Array:
    o = run.options
    size = _each(o["size"], x)
    strides = _each(o["strides"] or size, x)
    count = int(np.prod(size)) * x.shape[-1]
    kernel = jnp.eye(count, dtype=x.dtype).reshape(*size, x.shape[-1], count)
    return convolve(x, kernel, strides, o["padding"], _each(o["dilation_rate"], x), 1)


def _depth_to_space(run: Run, x: Array) -> Array:
    batch, height, width, channels = x.shape
    n = run.options["block_size"]
    if run.options["data_format"] == "channels_first":  # channels vary slowest
        y = x.reshape(batch, height, width, channels // n**2, n, n)
        y = jnp.transpose(y, (0, 1, 4, 2, 5, 3))
    else:
        y = x.reshape(batch, height, width, n, n, channels // n**2)
        y = jnp.transpose(y, (0, 1, 3, 2, 4, 5))
    return y.reshape(batch, height * n, width * n, channels // n**2)


def _space_to_depth(run: Run, x: Array) -> Array:
    batch, height, width, channels = x.shape
    n = run.options["block_size"]
    y = x.reshape(batch, height // n, n, width // n, n, channels)
    first = run.options["data_format"] == "channels_first"
    y = jnp.transpose(y, (0, 1, 3, 5, 2, 4) if first else (0, 1, 3, 2, 4, 5))
    return y.reshape(batch, height // n, width // n, channels * n**2)


def _resize(run: Run, x: Array) -> Array:
    height, width = run.options["size"]
    return resized(with_options(run.options, height=height, width=width), x)


def _ends(before: int | None, after: int | None, size: int, more: int) -> tuple:
    """Return what to add before and after; one may follow from the sum."""
    before = more - (after or 0) if before is None else before
    after = more - before if after is None else after
    if before < 0 or after < 0:
        raise ValueError(f"an image of size {size} does not fit")
    return before, after


def _pad_images(run: Run, x: Array) -> Array:
    o, (height, width) = run.options, x.shape[1:3]
    rows = _ends(
        o["top_padding"],
        o["bottom_padding"],
        height,
        (o["target_height"] or 0) - height,
    )
    columns = _ends(
        o["left_padding"], o["right_padding"], width, (o["target_width"] or 0) - width
    )
    return jnp.pad(x, [(0, 0), rows, columns, (0, 0)])


def _crop_images(run: Run, x: Array) -> Array:
    o, (height, width) = run.options, x.shape[1:3]
    top, bottom = _ends(
        o["top_cropping"],
        o["bottom_cropping"],
        height,
        height - (o["target_height"] or 0),
    )
    left, right = _ends(
        o["left_cropping"], o["right_cropping"], width, width - (o["target_width"] or 0)
    )
    return x[:, top : height - bottom, left : width - right]


_INTS = either(whole(high=MOST_REPEATED), several(whole(high=MOST_REPEATED)))
_PADDING = {"padding": Option(choice("valid", "same"), "valid")}
_POOL = {"pool_size": Option(_INTS), "strides": Option(optional(_INTS), None)}
_KERNEL = {"strides": Option(_INTS, 1), "dilation_rate": Option(_INTS, 1), **_PADDING}
_BLOCK = {"block_size": Option(whole())}
_TARGET = {
    name: Option(optional(whole()), None) for name in ("target_height", "target_width")
}


def _sides(what: str) -> dict[str, Option]:
    names = [f"{side}_{what}" for side in ("top", "left", "bottom", "right")]
    return {name: Option(optional(whole(0)), None) for name in names} | _TARGET


OPERATIONS: dict[str, Entry] = {
    "AveragePool": either_layout(Entry(_pool(False), {**_POOL, **_PADDING})),
    "MaxPool": either_layout(Entry(_pool(True), {**_POOL, **_PADDING})),
    "Conv": either_layout(Entry(_conv, _KERNEL)),
    "DepthwiseConv": either_layout(Entry(_depthwise, _KERNEL)),
    "SeparableConv": either_layout(Entry(_separable, _KERNEL)),
    "ExtractPatches": either_layout(
        Entry(
            _patches,
            {
                **_KERNEL,
                "size": Option(_INTS),
                "strides": Option(optional(_INTS), None),
            },
        )
    ),
    "DepthToSpace": either_layout(Entry(_depth_to_space, _BLOCK)),
    "SpaceToDepth": either_layout(Entry(_space_to_depth, _BLOCK)),
    "Resize": either_layout(
        Entry(
            _resize,
            {
                "size": Option(several(whole(), 2)),
                "interpolation": Option(choice(*METHODS), "bilinear"),
                "antialias": Option(flag, False),
                "crop_to_aspect_ratio": Option(flag, False),
                "pad_to_aspect_ratio": Option(flag, False),
                "fill_mode": Option(choice("constant"), "constant"),
                "fill_value": Option(number(), 0.0),
            },
        )
    ),
    "PadImages": either_layout(Entry(_pad_images, _sides("padding"))),
    "CropImages": either_layout(Entry(_crop_images, _sides("cropping"))),
    "RGBToGrayscale": either_layout(Entry(lambda run, x: imaging.grayscale(x))),
    "RGBToHSV": either_layout(Entry(lambda run, x: imaging.rgb_to_hsv(x))),
    "HSVToRGB": either_layout(Entry(lambda run, x: imaging.hsv_to_rgb(x))),
}
LAYERS = {f"ops.{name}": entry for name, entry in OPERATIONS.items()}

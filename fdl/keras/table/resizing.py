"""Resizing and center crops of images."""

import jax
import jax.numpy as jnp

from fdl.arrays import Array
from fdl.keras.graph.description import Options
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.layout import either_layout
from fdl.keras.table.options import Option, choice, flag, number, whole

METHODS = {
    "nearest": "nearest",
    "bilinear": "linear",
    "bicubic": "cubic",
    "lanczos3": "lanczos3",
    "lanczos5": "lanczos5",
}


def resize(
    x: Array, height: int, width: int, method: str, antialias: bool = False
) -> Array:
    """Resize images; integers stay integers.

    Args:
        x: Images, with channels last.
        height: Height of the result.
        width: Width of the result.
        method: One of Keras' interpolations.
        antialias: Whether to average over the pixels that each new pixel covers when
            images get smaller.
    """
    shape = (x.shape[0], height, width, x.shape[-1])
    if jnp.issubdtype(x.dtype, jnp.floating) or method == "nearest":
        return jax.image.resize(x, shape, METHODS[method], antialias).astype(x.dtype)
    y = jax.image.resize(x.astype(jnp.float32), shape, METHODS[method], antialias)
    limits = jnp.iinfo(x.dtype)
    return jnp.clip(jnp.round(y), limits.min, limits.max).astype(x.dtype)


def _cropped(x: Array, height: int, width: int) -> Array:
    """Return the largest central crop with the aspect ratio of the result."""
    rows, columns = x.shape[1:3]
    high = max(min(rows, int(columns * height / width)), 1)
    wide = max(min(columns, int(rows * width / height)), 1)
    top, left = (rows - high) // 2, (columns - wide) // 2
    return x[:, top : top + high, left : left + wide]


def _padded(x: Array, height: int, width: int, value: float) -> Array:
    """Pad images equally on both sides to the aspect ratio of the result."""
    rows, columns = x.shape[1:3]
    high = (max(rows, int(columns * height / width)) - rows) // 2
    wide = (max(columns, int(rows * width / height)) - columns) // 2
    pads = [(0, 0), (high, high), (wide, wide), (0, 0)]
    return jnp.pad(x, pads, constant_values=jnp.asarray(value, x.dtype))


def resized(o: Options, x: Array) -> Array:
    """Resize images as the options of `Resizing` say."""
    size = (o["height"], o["width"])
    if o["crop_to_aspect_ratio"] and o["pad_to_aspect_ratio"]:
        raise ValueError("crop_to_aspect_ratio excludes pad_to_aspect_ratio")
    if o["crop_to_aspect_ratio"]:
        x = _cropped(x, *size)
    if o["pad_to_aspect_ratio"]:
        x = _padded(x, *size, o["fill_value"])
    return resize(x, *size, o["interpolation"], o["antialias"])


def _resizing(run: Run, x: Array) -> Array:
    return resized(run.options, x)


def _center_crop(run: Run, x: Array) -> Array:
    height, width = run.options["height"], run.options["width"]
    if not jnp.issubdtype(x.dtype, jnp.floating):
        x = x.astype(jnp.float32)
    top, left = (x.shape[1] - height) // 2, (x.shape[2] - width) // 2
    if top < 0 or left < 0:  # as `keras.utils.image_utils.smart_resize`
        return resize(_cropped(x, height, width), height, width, "bilinear")
    return x[:, top : top + height, left : left + width]


_SIZE = {"height": Option(whole()), "width": Option(whole())}

LAYERS = {
    "Resizing": either_layout(
        Entry(
            _resizing,
            {
                **_SIZE,
                "interpolation": Option(choice(*METHODS), "bilinear"),
                "crop_to_aspect_ratio": Option(flag, False),
                "pad_to_aspect_ratio": Option(flag, False),
                "fill_mode": Option(choice("constant"), "constant"),
                "fill_value": Option(number(), 0.0),
                "antialias": Option(flag, False),
            },
            level="bicubic as in Keras on JAX",
        )
    ),
    "CenterCrop": either_layout(Entry(_center_crop, _SIZE)),
}

"""Layers that change the colors of images, mostly at random."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from fdl import imaging
from fdl.arrays import Array, Key
from fdl.keras.table.augmentation import (
    BOXES,
    VALUES,
    as_images,
    chosen,
    factor,
    in_training,
    rescaled,
    uniform,
)
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.layout import DATA_FORMAT
from fdl.keras.table.options import (
    Option,
    number,
    optional,
    several,
    whole,
)

Options = Mapping[str, Any]
_BYTE = (0.0, 255.0)


def brighten(key: Key, images: Array, o: Options) -> Array:
    """Add a fraction of the value range."""
    low, high = o["value_range"]
    change = uniform(key, images, o["factor"]) * (high - low)
    return jnp.clip(images + change, low, high)


def change_contrast(key: Key, images: Array, o: Options) -> Array:
    """Scale values around the mean of their channel."""
    lower, upper = o["factor"]
    scale = uniform(key, images, (1 - lower, 1 + upper))
    return jnp.clip(imaging.contrast(images, scale), *o["value_range"])


def saturate(key: Key, images: Array, o: Options) -> Array:
    """Scale saturations."""
    part = uniform(key, images, o["factor"])
    hue, saturation, value = _split(imaging.rgb_to_hsv(images))
    scaled = jnp.clip(saturation * part / (1 - part + 1e-7), *o["value_range"])
    return imaging.hsv_to_rgb(jnp.concatenate([hue, scaled, value], axis=-1))


def turn_hue(key: Key, images: Array, o: Options) -> Array:
    """Rotate hues by at most half a turn, in either direction."""
    turned, rest = jax.random.split(key)
    sign = jnp.where(uniform(turned, images, (0, 1)) > 0.5, -1, 1)
    unit = rescaled(images, o["value_range"], (0, 1))
    hue, saturation, value = _split(imaging.rgb_to_hsv(unit))
    hue = hue + sign * uniform(rest, images, o["factor"]) / 2
    hsv = jnp.concatenate([hue, saturation, value], axis=-1)
    unit = jnp.clip(imaging.hsv_to_rgb(hsv), 0, 1)
    return rescaled(unit, (0, 1), o["value_range"])


def _split(images: Array) -> list[Any]:
    return jnp.split(images, images.shape[-1], axis=-1)


def fade(key: Key, images: Array, o: Options) -> Array:
    """Blend images with their grayscale versions."""
    part = uniform(key, images, o["factor"])
    faded = images + part * (imaging.grayscale(images) - images)
    return jnp.clip(faded, *o["value_range"])


def _gray(key: Key, images: Array, o: Options) -> Array:
    gray = uniform(key, images, (0, 1)) < o["factor"]
    return jnp.where(gray, imaging.grayscale(images), images)


def _invert(key: Key, images: Array, o: Options) -> Array:
    inverted = chosen(key, images, o["factor"])
    return jnp.where(inverted, o["value_range"][1] - images, images)


def posterize(key: Key, images: Array, o: Options) -> Array:
    """Keep only the highest of the eight bits of values."""
    low, high = o["factor"]
    shape = (images.shape[0], 1, 1, 1)
    bits = jax.random.randint(key, shape, low, max(high, low + 1))
    step = 2.0 ** (8 - bits.astype(images.dtype))
    whole_numbers = jnp.floor(rescaled(images, o["value_range"], _BYTE))
    return rescaled(step * jnp.floor(whole_numbers / step), _BYTE, o["value_range"])


def sharpen(key: Key, images: Array, o: Options) -> Array:
    """Extrapolate away from a smoothed image, or interpolate towards it."""
    kernel = jnp.ones((3, 3), images.dtype).at[1, 1].set(5) / 13
    part = 1 - 2 * uniform(key, images, o["factor"])
    changed = images + part * (imaging.correlate(images, kernel) - images)
    return jnp.clip(changed, *o["value_range"])


def _blur(key: Key, images: Array, o: Options) -> Array:
    which, how = jax.random.split(key)
    sigma = jax.random.uniform(how, (2,), images.dtype, *o["sigma"]) + 1e-6
    (size, _) = o["kernel_size"]
    x, y = (imaging.gaussian(size, one) for one in sigma)
    blurred = imaging.correlate(images, y[:, None] * x[None])
    images = jnp.where(chosen(which, images, o["factor"]), blurred, images)
    return jnp.clip(images, *o["value_range"])


def solarize(key: Key, images: Array, o: Options) -> Array:
    """Add to values, and invert those at or above a threshold."""
    keys = jax.random.split(key)
    ranges = (
        (low, 255 * high) for low, high in (o["addition_factor"], o["threshold_factor"])
    )
    added, threshold = (
        uniform(one, images, ends) for one, ends in zip(keys, ranges, strict=True)
    )
    values = jnp.clip(rescaled(images, o["value_range"], _BYTE) + added, *_BYTE)
    turned = jnp.where(values < threshold, values, 255 - values)
    return rescaled(turned, _BYTE, o["value_range"])


def stretch(key: Key | None, images: Array, o: Options) -> Array:
    """Stretch each channel to the full value range."""
    values = rescaled(images, o["value_range"], _BYTE)
    low, high = (f(values, axis=(1, 2), keepdims=True) for f in (jnp.min, jnp.max))
    flat = high == low
    scale = 255 / jnp.where(flat, 1, high - low)
    stretched = jnp.clip(values * scale - low * scale, *_BYTE)
    return jnp.where(flat, images, rescaled(stretched, _BYTE, o["value_range"]))


def equalize(key: Key, images: Array, o: Options) -> Array:
    """Equalize the histogram of each channel, over all images of a batch."""
    bins = o.get("bins", 256)
    values = rescaled(images, o["value_range"], _BYTE)

    def one_channel(values: Array) -> Array:
        place = jnp.clip(values / 255 * (bins - 1), 0, bins - 1).astype(int)
        counts = jnp.bincount(place.ravel(), length=bins)
        upto = jnp.cumsum(counts).astype(values.dtype)
        first = upto[jnp.argmax(upto > 0)]
        table = (upto - first) * 255 / jnp.maximum(upto[-1] - first, 1)
        equal = jnp.clip(jnp.round(table), *_BYTE)[place]
        return jnp.where(jnp.sum(counts > 0) <= 1, values, equal)

    return rescaled(jax.vmap(one_channel, -1, -1)(values), _BYTE, o["value_range"])


def _stretch(run: Run, images: Array) -> Array:
    return stretch(None, as_images(images), run.options)


def _odd(value: Any) -> tuple[int, int]:
    sizes = several(whole(), 2)(value)
    if sizes[0] % 2 == 0 or sizes[0] != sizes[1]:
        raise ValueError("must be odd, and equal in both directions")
    return sizes


def _bits(value: Any) -> tuple[int, int]:
    low, high = factor(1, 8)(value)
    return int(low), int(high)


_PART, _RATE = factor(-1, 1), factor(0, 1)
_JITTERS = {
    "brightness_factor": (_PART, brighten),
    "contrast_factor": (_RATE, change_contrast),
    "saturation_factor": (_PART, saturate),
    "hue_factor": (_RATE, turn_hue),
}


def _jitter(key: Key, images: Array, o: Options) -> Array:
    keys = jax.random.split(key, len(_JITTERS))
    for one, (name, (_, change)) in zip(keys, _JITTERS.items(), strict=True):
        if o[name] is not None:
            images = change(one, images, {**o, "factor": o[name]})
    return images


LAYERS = {
    "RandomBrightness": in_training(brighten, {"factor": Option(_PART), **VALUES}),
    "RandomContrast": in_training(change_contrast, {"factor": Option(_RATE), **VALUES}),
    "RandomSaturation": in_training(saturate, {"factor": Option(_PART), **VALUES}),
    "RandomHue": in_training(turn_hue, {"factor": Option(_RATE), **VALUES}),
    "RandomColorJitter": in_training(
        _jitter,
        {
            **{name: Option(optional(o), None) for name, (o, _) in _JITTERS.items()},
            **VALUES,
        },
    ),
    "RandomColorDegeneration": in_training(fade, {"factor": Option(_PART), **VALUES}),
    "RandomGrayscale": in_training(_gray, {"factor": Option(number(0, 1), 0.5)}),
    "RandomInvert": in_training(_invert, {"factor": Option(_RATE, 1.0), **VALUES}),
    "RandomPosterization": in_training(posterize, {"factor": Option(_bits), **VALUES}),
    "RandomSharpness": in_training(sharpen, {"factor": Option(_RATE), **VALUES}),
    "RandomGaussianBlur": in_training(
        _blur,
        {
            "factor": Option(_RATE, 1.0),
            "kernel_size": Option(_odd, 3),
            "sigma": Option(_RATE, 1.0),
            **VALUES,
        },
    ),
    "Solarization": in_training(
        solarize,
        {
            "addition_factor": Option(_RATE, 0.0),
            "threshold_factor": Option(_RATE, 0.0),
            **VALUES,
        },
    ),
    "AutoContrast": Entry(_stretch, {**VALUES, **DATA_FORMAT, **BOXES}),
    "Equalization": in_training(equalize, {"bins": Option(whole(2), 256), **VALUES}),
}

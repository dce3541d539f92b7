"""Layers that transform, crop, erase and mix images at random."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fdl import imaging
from fdl.arrays import Array, Key
from fdl.keras.table.augmentation import (
    VALUES,
    Ends,
    chosen,
    factor,
    in_training,
    uniform,
)
from fdl.keras.table.options import (
    Option,
    choice,
    either,
    number,
    optional,
    several,
    whole,
)
from fdl.keras.table.resizing import resize

Options = Mapping[str, Any]


def _flip(key: Key, images: Array, o: Options) -> Array:
    flipped = uniform(key, images, (0, 1)) <= 0.5
    axes = {"horizontal": (-2,), "vertical": (-3,)}.get(o["mode"], (-2, -3))
    return jnp.where(flipped, jnp.flip(images, axes), images)


def _project(images: Array, transform: Array, o: Options) -> Array:
    return imaging.project(
        images,
        transform,
        interpolation=o["interpolation"],
        fill_mode=o.get("fill_mode", "constant"),
        fill=o["fill_value"],
    )


def _affine(images: Array, o: Options, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any):
    numbers = [
        jnp.broadcast_to(x, images.shape[:1]) for x in (a, b, c, d, e, f, 0.0, 0.0)
    ]
    return _project(images, jnp.stack(numbers, axis=-1).astype(images.dtype), o)


def rotate(key: Key, images: Array, o: Options) -> Array:
    """Rotate images; the factor is a fraction of a full turn."""
    angle = 2 * math.pi * uniform(key, images, o["factor"])[:, 0, 0, 0]
    return _project(images, imaging.rotation(angle, *images.shape[1:3]), o)


def translate(key: Key, images: Array, o: Options) -> Array:
    """Translate images by fractions of their height and width."""
    down, right = _two(key, images, o["height_factor"], o["width_factor"])
    _, height, width, _ = images.shape
    return _affine(images, o, 1.0, 0.0, -right * width, 0.0, 1.0, -down * height)


def _zoom(key: Key, images: Array, o: Options) -> Array:
    tall, wide = _two(key, images, o["height_factor"], o["width_factor"] or (0, 0))
    y = 1 + tall
    x = y if o["width_factor"] is None else 1 + wide
    middle_y, middle_x = ((size - 1) / 2 for size in images.shape[1:3])
    return _affine(images, o, x, 0.0, middle_x * (1 - x), 0.0, y, middle_y * (1 - y))


def shear(key: Key, images: Array, o: Options) -> Array:
    """Shear images along both axes, with one random sign for both."""
    factors = o["x_factor"], o["y_factor"]
    turned, rest = jax.random.split(key)
    sign = jnp.where(uniform(turned, images, (0, 1))[:, 0, 0, 0] > 0.5, -1, 1)
    both = [each if isinstance(each, tuple) else (-each, each) for each in factors]
    x, y = _two(rest, images, *both)
    return _affine(images, o, 1.0, sign * x, 0.0, sign * y, 1.0, 0.0)


def _two(key: Key, images: Array, *ranges: Ends) -> list[Array]:
    keys = jax.random.split(key)
    pairs = zip(keys, ranges, strict=True)
    return [uniform(one, images, ends)[:, 0, 0, 0] for one, ends in pairs]


def _perspective(key: Key, images: Array, o: Options) -> Array:
    which, where = jax.random.split(key)
    count, height, width, _ = images.shape
    half, dtype = o["scale"] / 2, images.dtype
    right, bottom = width - 1, height - 1
    start = jnp.array([[0, 0], [right, 0], [0, bottom], [right, bottom]], dtype)
    start = jnp.broadcast_to(start, (count, 4, 2))
    end = start * (1 + jax.random.uniform(where, start.shape, dtype, -half, half))
    (x, y), (u, v) = jnp.moveaxis(start, -1, 0), jnp.moveaxis(end, -1, 0)
    none, one = jnp.zeros_like(u), jnp.ones_like(u)
    rows = [
        jnp.stack([u, v, one, none, none, none, -x * u, -x * v], axis=-1),
        jnp.stack([none, none, none, u, v, one, -y * u, -y * v], axis=-1),
    ]
    goals = jnp.concatenate([x, y], axis=1)[..., None]
    transform = jnp.linalg.solve(jnp.concatenate(rows, axis=1), goals)[..., 0]
    seen = _project(images, transform, o)
    return jnp.where(chosen(which, images, o["factor"]), seen, images)


def _crop(key: Key, images: Array, o: Options) -> Array:
    """Crop a random window; if images are too small, resize a central one."""
    (_, old_height, old_width, _), size = images.shape, (o["height"], o["width"])
    height, width = size
    if old_height > height and old_width > width:
        limits = jnp.array([old_height - height + 1, old_width - width + 1])
        top, left = jax.random.randint(key, (2,), 0, limits)
    else:
        fits_height = max(min(old_height, old_width * height // width), 1)
        fits_width = max(min(old_width, old_height * width // height), 1)
        top, left = (old_height - fits_height) // 2, (old_width - fits_width) // 2
        size = min(height, old_height - top), min(width, old_width - left)
    window = (images.shape[0], *size, images.shape[-1])
    part = lax.dynamic_slice(images, (0, top, left, 0), window)
    if size == (height, width):
        return part
    return resize(part, height, width, "bilinear")


def _bend(key: Key, images: Array, o: Options) -> Array:
    """Displace pixels by blurred noise (elastic transform)."""
    if o["scale"][1] == 0 or o["factor"][1] == 0:
        return images
    which, how_much, where = jax.random.split(key, 3)
    _, height, width, _ = images.shape
    dtype, short = images.dtype, min(height, width)
    scale = jax.random.uniform(how_much, (), dtype, *o["scale"])
    sigma, distance = 0.05 * scale * short, 0.1 * scale * max(height, width)
    noise = sigma * jax.random.normal(where, (*images.shape[:-1], 1), dtype)
    longest = int(6 * 0.05 * o["scale"][1] * short) | 1
    weights = imaging.gaussian(longest, sigma, (6 * sigma).astype(int) | 1)
    smooth = imaging.correlate(noise, weights[:, None] * weights[None])
    move = distance * smooth[..., 0]  # the same in both directions, as in Keras
    rows, columns = jnp.indices((1, height, width), dtype)[1:]
    bent = imaging.sample(
        images,
        rows + move,
        columns + move,
        interpolation=o["interpolation"],
        fill_mode=o["fill_mode"],
        fill=o["fill_value"],
    )
    images = jnp.where(chosen(which, images, o["factor"]), bent, images)
    return jnp.clip(images, *o["value_range"])


def _box(key: Key, images: Array, height: Array, width: Array) -> Array:
    """Return a mask of a random box in each image; sizes are fractions of the image."""
    rows, columns = jnp.indices((1, *images.shape[1:3], 1), images.dtype)[1:3]
    inside = jnp.ones_like(rows, bool)
    parts = zip(
        jax.random.split(key),
        (rows, columns),
        (height, width),
        images.shape[1:3],
        strict=True,
    )
    for one, places, part, size in parts:
        length = part * size
        start = uniform(one, images, (0, 1)) * (size - length)
        inside = inside & (places >= start) & (places < start + length)
    return inside


def _erase(key: Key, images: Array, o: Options) -> Array:
    which, tall, wide, where, noise = jax.random.split(key, 5)
    height, width = (jnp.sqrt(uniform(k, images, o["scale"])) for k in (tall, wide))
    fill = o["fill_value"]
    if fill is None:
        fill = o["value_range"][1] * jax.random.normal(noise, images.shape)
    fill = jnp.clip(jnp.asarray(fill, images.dtype), *o["value_range"])
    hidden = _box(where, images, height, width) & chosen(which, images, o["factor"])
    return jnp.where(hidden, jnp.broadcast_to(fill, images.shape), images)


def _cut_mix(key: Key, images: Array, o: Options) -> Array:
    order, how, share, where = jax.random.split(key, 4)
    alpha = jax.random.uniform(how, (), images.dtype, *o["factor"]) + 1e-6
    shape = (images.shape[0], 1, 1, 1)
    kept = jax.random.beta(share, alpha, alpha, shape, images.dtype)
    side = jnp.sqrt(1 - kept)
    others = jax.random.permutation(order, images)
    return jnp.where(_box(where, images, side, side), others, images)


def _mix_up(key: Key, images: Array, o: Options) -> Array:
    order, how = jax.random.split(key)
    shape = (images.shape[0], 1, 1, 1)
    share = jax.random.beta(how, o["alpha"], o["alpha"], shape, images.dtype)
    return share * images + (1 - share) * jax.random.permutation(order, images)


def _shears(value: Any) -> float | Ends:
    """Accept a range; a symmetric one is stored as a number, which Keras needs."""
    low, high = _PART(value)
    return high if low == -high else (low, high)


SEEN = {
    "interpolation": Option(choice("nearest", "bilinear"), "bilinear"),
    "fill_value": Option(number(), 0.0),
}
BEYOND = {
    "fill_mode": Option(choice("reflect", "wrap", "constant", "nearest"), "reflect")
}
_PART, _RATE = factor(-1, 1), factor(0, 1)
_BOTH = "horizontal_and_vertical"
_WRAP = 'with `fill_mode="wrap"`, as in Keras on JAX'

LAYERS = {
    "RandomFlip": in_training(
        _flip, {"mode": Option(choice("horizontal", "vertical", _BOTH), _BOTH)}
    ),
    "RandomRotation": in_training(
        rotate, {"factor": Option(_PART), **SEEN, **BEYOND}, _WRAP
    ),
    "RandomTranslation": in_training(
        translate,
        {
            "height_factor": Option(_PART),
            "width_factor": Option(_PART),
            **SEEN,
            **BEYOND,
        },
        _WRAP,
    ),
    "RandomZoom": in_training(
        _zoom,
        {
            "height_factor": Option(_PART),
            "width_factor": Option(optional(_PART), None),
            **SEEN,
            **BEYOND,
        },
        _WRAP,
    ),
    "RandomShear": in_training(
        shear,
        {
            "x_factor": Option(_shears, 0.0),
            "y_factor": Option(_shears, 0.0),
            **SEEN,
            **BEYOND,
        },
        _WRAP,
    ),
    "RandomPerspective": in_training(
        _perspective,
        {"factor": Option(_RATE, 1.0), "scale": Option(number(0, 1), 1.0), **SEEN},
    ),
    "RandomCrop": in_training(
        _crop, {"height": Option(whole()), "width": Option(whole())}
    ),
    "RandomElasticTransform": in_training(
        _bend,
        {
            "factor": Option(_RATE, 1.0),
            "scale": Option(_RATE, 1.0),
            **SEEN,
            **BEYOND,
            **VALUES,
        },
        "as in Keras on JAX",
    ),
    "RandomErasing": in_training(
        _erase,
        {
            "factor": Option(_RATE, 1.0),
            "scale": Option(_RATE, (0.02, 0.33)),
            "fill_value": Option(
                either(choice(None), number(), several(number(), 3)), None
            ),
            **VALUES,
        },
    ),
    "CutMix": in_training(_cut_mix, {"factor": Option(_RATE, 1.0)}),
    "MixUp": in_training(_mix_up, {"alpha": Option(number(1e-6), 0.2)}),
}

"""Dropout and noise, which do nothing at inference."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from fdl.arrays import Array
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.layout import either_layout
from fdl.keras.table.options import (
    SEED,
    Option,
    number,
    optional,
    several,
    whole,
)


def drop(run: Run, x: Array, rate: float, shape: Any = None) -> Array:
    """Drop values in training; sizes of 1 in `shape` share a draw along their axes."""
    if not run.train or rate == 0:
        return x
    if rate == 1:
        return jnp.zeros_like(x)
    given = shape or (None,) * x.ndim
    sizes = [
        a if b is None else b
        for a, b in zip(x.shape[-len(given) :], given, strict=True)
    ]
    kept = jax.random.bernoulli(run.key(), 1 - rate, sizes)
    return jnp.where(jnp.broadcast_to(kept, x.shape), x / (1 - rate), 0)


def _dropout(run: Run, x: Array) -> Array:
    return drop(run, x, run.options["rate"], run.options["noise_shape"])


def _spatial(run: Run, x: Array) -> Array:
    shape = (None, *(1,) * (x.ndim - 2), None)
    return drop(run, x, run.options["rate"], shape)


def _alpha(run: Run, x: Array) -> Array:
    rate = run.options["rate"]
    if not run.train or rate == 0:
        return x
    low = -1.6732632423543772 * 1.0507009873554805
    given = run.options["noise_shape"] or (None,) * x.ndim
    sizes = [a if b is None else b for a, b in zip(x.shape, given, strict=True)]
    kept = jax.random.bernoulli(run.key(), 1 - rate, sizes)
    a = ((1 - rate) * (1 + rate * low**2)) ** -0.5
    return a * jnp.where(jnp.broadcast_to(kept, x.shape), x, low) - a * low * rate


def _gaussian_dropout(run: Run, x: Array) -> Array:
    rate = run.options["rate"]
    if not run.train or rate == 0:
        return x
    noise = jax.random.normal(run.key(), x.shape, x.dtype)
    return x * (1 + math.sqrt(rate / (1 - rate)) * noise)


def _gaussian_noise(run: Run, x: Array) -> Array:
    if not run.train or run.options["stddev"] == 0:
        return x
    noise = jax.random.normal(run.key(), x.shape, x.dtype)
    return x + run.options["stddev"] * noise


RATE = {"rate": Option(number(0, 1)), "seed": SEED}
_BELOW_ONE = {"rate": Option(number(0, 1 - 1e-7)), "seed": SEED}
_SHAPE = {"noise_shape": Option(optional(several(optional(whole()))), None)}

LAYERS = {
    "Dropout": Entry(_dropout, {**RATE, **_SHAPE}, keeps_mask=True),
    "SpatialDropout1D": Entry(_spatial, RATE, keeps_mask=True),
    "SpatialDropout2D": either_layout(Entry(_spatial, RATE, keeps_mask=True)),
    "SpatialDropout3D": either_layout(Entry(_spatial, RATE, keeps_mask=True)),
    "AlphaDropout": Entry(_alpha, {**_BELOW_ONE, **_SHAPE}, keeps_mask=True),
    "GaussianDropout": Entry(_gaussian_dropout, _BELOW_ONE, keeps_mask=True),
    "GaussianNoise": Entry(
        _gaussian_noise, {"stddev": Option(number(0)), "seed": SEED}, keeps_mask=True
    ),
}

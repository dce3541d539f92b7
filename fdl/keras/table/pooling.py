"""Pooling in one, two and three dimensions."""

from typing import Any

import jax.numpy as jnp
from jax import lax

from fdl import ops
from fdl.arrays import Array
from fdl.keras.graph.description import Options
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.layout import either_layout
from fdl.keras.table.options import (
    MOST_REPEATED,
    Option,
    choice,
    flag,
    optional,
    several,
    whole,
)


def pool(o: Options, x: Array, largest: bool) -> Array:
    """Pool sequences, images or volumes by their largest or average values."""
    window, padding = o["pool_size"], o["padding"]
    strides = o["strides"] or window
    if len(window) == 3:
        return _pool_volumes(x, window, strides, padding, largest)
    if len(window) == 1:  # an image one pixel high
        x, window, strides = x[:, None], (1, *window), (1, *strides)
    pool_images = ops.max_pool if largest else ops.avg_pool
    y = pool_images(x, window, strides=strides, padding=padding)
    return y[:, 0] if len(o["pool_size"]) == 1 else y


def _pool_volumes(
    x: Array, window: tuple, strides: tuple, padding: str, largest: bool
) -> Array:
    form = ((1, *window, 1), (1, *strides, 1), padding.upper())
    if largest:
        return lax.reduce_window(x, -jnp.inf, lax.max, *form)
    sums = lax.reduce_window(x, 0.0, lax.add, *form)
    counts = lax.reduce_window(jnp.ones_like(x[:1, ..., :1]), 0.0, lax.add, *form)
    return sums / jnp.broadcast_to(counts, sums.shape)


def _max_pool(run: Run, x: Array) -> Array:
    return pool(run.options, x, largest=True)


def _avg_pool(run: Run, x: Array) -> Array:
    return pool(run.options, x, largest=False)


def _global_max(run: Run, x: Array) -> Array:
    axes = tuple(range(1, x.ndim - 1))
    return jnp.max(x, axis=axes, keepdims=run.options["keepdims"])


def _global_avg(run: Run, x: Array, mask: Array | None = None) -> Array:
    axes, keep = tuple(range(1, x.ndim - 1)), run.options["keepdims"]
    mask = run.masks.get(0) if mask is None else mask
    if mask is None or x.ndim != 3:
        return jnp.mean(x, axis=axes, keepdims=keep)
    real = mask.astype(x.dtype)[..., None]
    total = jnp.sum(x * jnp.broadcast_to(real, x.shape), axis=axes, keepdims=keep)
    count = jnp.sum(real, axis=axes, keepdims=keep)
    return total / jnp.broadcast_to(count, total.shape)


def _adaptive(run: Run, x: Array, reduce: Any) -> Array:
    # Window i spans floor(i size / count) to ceil((i + 1) size / count).
    for axis, count in enumerate(run.options["output_size"], start=1):
        size = x.shape[axis]
        bounds = [
            (i * size // count, -((i + 1) * size // -count)) for i in range(count)
        ]
        parts = [
            reduce(lax.slice_in_dim(x, a, b, axis=axis), axis=axis) for a, b in bounds
        ]
        x = jnp.stack(parts, axis)
    return x


def _adaptive_max(run: Run, x: Array) -> Array:
    return _adaptive(run, x, jnp.max)


def _adaptive_avg(run: Run, x: Array) -> Array:
    return _adaptive(run, x, jnp.mean)


def _options(axes: int) -> dict[str, Option]:
    return {
        "pool_size": Option(several(whole(high=MOST_REPEATED), axes), 2),
        "strides": Option(optional(several(whole(), axes)), None),
        "padding": Option(choice("valid", "same"), "valid"),
    }


_GLOBAL = {"keepdims": Option(flag, False)}


def _sizes(axes: int) -> dict[str, Option]:
    return {
        "output_size": Option(several(whole(high=MOST_REPEATED), axes)),
    }


LAYERS = {
    name: either_layout(entry)
    for axes in (1, 2, 3)
    for name, entry in {
        f"MaxPooling{axes}D": Entry(_max_pool, _options(axes)),
        f"AveragePooling{axes}D": Entry(_avg_pool, _options(axes)),
        f"GlobalMaxPooling{axes}D": Entry(_global_max, _GLOBAL),
        f"GlobalAveragePooling{axes}D": Entry(
            _global_avg, _GLOBAL, kwargs=("mask",) if axes == 1 else ()
        ),
        f"AdaptiveMaxPooling{axes}D": Entry(_adaptive_max, _sizes(axes)),
        f"AdaptiveAveragePooling{axes}D": Entry(_adaptive_avg, _sizes(axes)),
    }.items()
}

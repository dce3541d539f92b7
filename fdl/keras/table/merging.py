"""Layers that merge several inputs."""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from fdl.arrays import Array
from fdl.keras.table.core import unit_length
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.options import Option, either, flag, several, whole

Binary = Callable[[Array, Array], Array]


def _masks(run: Run, inputs: tuple[Array, ...]) -> tuple[Any, ...]:
    """Return the mask of each input; the output's mask is their union."""
    masks: tuple[Any, ...] = (
        run.mask if isinstance(run.mask, tuple) else (None,) * len(inputs)
    )
    if all(mask is not None for mask in masks):
        run.out_mask = functools.reduce(jnp.logical_or, masks)
    return masks


def _sum_like(function: Binary) -> Callable[..., Array]:
    """Return a reduction by a binary function that ignores masks."""

    def run_merge(run: Run, inputs: tuple[Array, ...]) -> Array:
        _masks(run, inputs)
        pairs = lambda a, b: function(*jnp.broadcast_arrays(a, b))
        return functools.reduce(pairs, _same_rank(inputs))

    return run_merge


def _multiply(run: Run, inputs: tuple[Array, ...]) -> Array:
    """Multiply the inputs; masked steps count as 1, or as 0 if masked in all inputs."""
    masks = _masks(run, inputs)
    inputs = tuple(
        x if mask is None else jnp.where(mask[..., None], x, 1)
        for x, mask in zip(inputs, masks, strict=True)
    )
    y = _sum_like(jnp.multiply)(run, inputs)
    return y if run.out_mask is None else jnp.where(run.out_mask[..., None], y, 0)


def _extreme(function: Binary) -> Callable[..., Array]:
    """Return a maximum or minimum that skips masked steps."""

    def run_merge(run: Run, inputs: tuple[Array, ...]) -> Array:
        masks = _masks(run, inputs)
        output: Any = None
        seen: Any = None
        for x, mask in zip(_same_rank(inputs), masks, strict=True):
            if output is None:
                output, seen = x, mask
                continue
            if mask is not None:
                x = jnp.where(mask[..., None], x, output)
            if seen is not None:
                output = jnp.where(seen[..., None], output, x)
            known = [each for each in (mask, seen) if each is not None]
            seen = jnp.logical_or(*known) if len(known) == 2 else None
            output = function(*jnp.broadcast_arrays(jnp.asarray(output), x))
        return output

    return run_merge


def _same_rank(inputs: tuple[Array, ...]) -> list[Array]:
    most = max(x.ndim for x in inputs)
    # As in Keras, missing axes are inserted after the batch axis.
    return [
        x.reshape(x.shape[0], *(1,) * (most - x.ndim), *x.shape[1:]) for x in inputs
    ]


def _average(run: Run, inputs: tuple[Array, ...]) -> Array:
    return _sum_like(jnp.add)(run, inputs) / len(inputs)


def _concatenate(run: Run, inputs: tuple[Array, ...]) -> Array:
    axis = run.options["axis"]
    masks = run.mask if isinstance(run.mask, tuple) else (None,) * len(inputs)
    if any(mask is not None for mask in masks):
        run.out_mask = _joined_mask(inputs, masks, axis)
    return jnp.concatenate(inputs, axis=axis)


def _joined_mask(inputs: tuple, masks: tuple, axis: int) -> Array:
    whole_masks = []
    for x, mask in zip(inputs, masks, strict=True):
        if mask is None:
            mask = jnp.ones(x.shape, bool)
        elif mask.ndim < x.ndim:
            mask = jnp.broadcast_to(mask[..., None], x.shape)
        whole_masks.append(mask)
    return jnp.any(jnp.concatenate(whole_masks, axis=axis), axis=-1)


def _dot(run: Run, inputs: tuple[Array, Array]) -> Array:
    x, y = inputs
    given: Any = run.options["axes"]
    a, b = (given, given) if isinstance(given, int) else given
    a, b = a % x.ndim, b % y.ndim
    if run.options["normalize"]:
        x, y = unit_length(x, a), unit_length(y, b)
    left, right = "bcdefgh"[: x.ndim - 1], "ijklmno"[: y.ndim - 1]
    left = left[: a - 1] + "z" + left[a:]
    right = right[: b - 1] + "z" + right[b:]
    result = (left + right).replace("z", "")
    out = jnp.einsum(f"a{left},a{right}->a{result}", x, y)
    return out if out.ndim > 1 else out[:, None]


_AXIS = {"axis": Option(whole(-8), -1)}

LAYERS = {
    "Add": Entry(_sum_like(jnp.add)),
    "Subtract": Entry(_sum_like(jnp.subtract)),
    "Multiply": Entry(_multiply),
    "Maximum": Entry(_extreme(jnp.maximum)),
    "Minimum": Entry(_extreme(jnp.minimum)),
    "Average": Entry(_average),
    "Concatenate": Entry(_concatenate, _AXIS),
    "Dot": Entry(
        _dot,
        {
            "axes": Option(either(whole(-8), several(whole(-8), 2))),
            "normalize": Option(flag, False),
        },
    ),
}

"""Layers that reshape, pad, crop and repeat arrays."""

import math

import jax.numpy as jnp

from fdl import ops
from fdl.arrays import Array
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.layout import either_layout
from fdl.keras.table.options import (
    Option,
    choice,
    pads,
    several,
    whole,
)
from fdl.keras.table.resizing import METHODS, resize


def _flatten(run: Run, x: Array) -> Array:
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))


def _reshape(run: Run, x: Array) -> Array:
    shape = run.options["target_shape"]
    if -1 in shape:
        rest = math.prod(size for size in shape if size != -1)
        missing = math.prod(x.shape[1:]) // max(1, rest)
        shape = tuple(missing if size == -1 else size for size in shape)
    return x.reshape(x.shape[0], *shape)


def _permute(run: Run, x: Array) -> Array:
    return jnp.transpose(x, (0, *run.options["dims"]))


def _repeat_vector(run: Run, x: Array) -> Array:
    return jnp.repeat(x[:, None], run.options["n"], axis=1)


def _zero_pad(run: Run, x: Array) -> Array:
    return jnp.pad(x, [(0, 0), *run.options["padding"], (0, 0)])


def _crop(run: Run, x: Array) -> Array:
    cuts = [
        slice(before, size - after)
        for (before, after), size in zip(
            run.options["cropping"], x.shape[1:-1], strict=True
        )
    ]
    return x[(slice(None), *cuts)]


def _upsample(run: Run, x: Array) -> Array:
    factors = run.options["size"]
    method = run.options.get("interpolation", "nearest")
    if method == "bilinear":
        return ops.upsample(x, factors, method="bilinear")
    if method != "nearest":
        return resize(x, x.shape[1] * factors[0], x.shape[2] * factors[1], method)
    for axis, factor in enumerate(factors, start=1):
        x = jnp.repeat(x, factor, axis=axis)
    return x


_TARGET = Option(several(whole(-1)))

LAYERS = {
    "Flatten": either_layout(Entry(_flatten)),
    "Reshape": Entry(_reshape, {"target_shape": _TARGET}),
    "Permute": Entry(_permute, {"dims": Option(several(whole()))}),
    "RepeatVector": Entry(_repeat_vector, {"n": Option(whole())}),
    **{
        f"ZeroPadding{axes}D": either_layout(
            Entry(_zero_pad, {"padding": Option(pads(axes), 1)})
        )
        for axes in (1, 2, 3)
    },
    "Cropping1D": Entry(_crop, {"cropping": Option(pads(1), 0)}),
    **{
        f"Cropping{axes}D": either_layout(
            Entry(_crop, {"cropping": Option(pads(axes), 0)})
        )
        for axes in (2, 3)
    },
    "UpSampling1D": Entry(_upsample, {"size": Option(several(whole(), 1), 2)}),
    "UpSampling2D": either_layout(
        Entry(
            _upsample,
            {
                "size": Option(several(whole(), 2), 2),
                "interpolation": Option(choice(*METHODS), "nearest"),
            },
            level="bicubic as in Keras on JAX",
        )
    ),
    "UpSampling3D": either_layout(
        Entry(_upsample, {"size": Option(several(whole(), 3), 2)})
    ),
}

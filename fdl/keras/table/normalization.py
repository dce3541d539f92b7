"""Normalization layers."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax.core import FrozenDict
from jax import lax

from fdl.arrays import Array
from fdl.keras.table.core import unit_length
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.initializers import draw
from fdl.keras.table.options import (
    Option,
    anything,
    choice,
    either,
    flag,
    number,
    optional,
    several,
    weight,
    whole,
)
from fdl.ops import group_norm

Axes = tuple[int, ...]


def _spread(w: Array, x: Array, axes: Axes) -> Array:
    """Broadcast a weight over `x`, some of whose axes it has."""
    shape = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
    return jnp.broadcast_to(w.reshape(shape), x.shape)


def _axes(x: Array, given: Any) -> Axes:
    return tuple(
        sorted(a % x.ndim for a in ((given,) if isinstance(given, int) else given))
    )


def _scale_and_shift(run: Run, y: Array, axes: Axes) -> Array:
    shape = tuple(y.shape[axis] for axis in axes)
    if run.options["scale"]:
        y = y * _spread(run.weight("scale", shape, "gamma").astype(y.dtype), y, axes)
    if run.options["center"]:
        y = y + _spread(run.weight("bias", shape, "beta").astype(y.dtype), y, axes)
    return y


def _wide(x: Array) -> Array:
    """Convert half precision to single, in which Keras normalizes."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _batch(run: Run, x: Array, mask: Array | None = None) -> Array:
    o, dtype = run.options, x.dtype
    x, (axis,) = _wide(x), _axes(x, o["axis"])
    shape, rest = (x.shape[axis],), tuple(a for a in range(x.ndim) if a != axis)
    # Declare the weights in their order in files.
    scale = run.weight("scale", shape, "gamma") if o["scale"] else None
    bias = run.weight("bias", shape, "beta") if o["center"] else None
    kept = {
        name: run.weight(name, shape, f"moving_{long}", trained=False)
        for name, long in (("mean", "mean"), ("var", "variance"))
    }
    if o["renorm"]:
        kept |= _renorm_statistics(run, shape)
    mean, var = kept["mean"], kept["var"]
    ratio, distance = jnp.ones((), x.dtype), jnp.zeros((), x.dtype)
    if run.train and run.learns:
        mask = run.masks.get(0) if mask is None else mask
        mean, var = _moments(x, rest, mask)
        if o["renorm"]:
            ratio, distance = _renorm(run, kept, mean, var)
        else:
            for name, new in (("mean", mean), ("var", var)):
                _average(run, name, kept[name], new, o["momentum"])
    factor = lax.rsqrt(var.astype(x.dtype) + o["epsilon"]) * ratio
    shift = distance - mean.astype(x.dtype) * factor
    if scale is not None:
        factor, shift = (each * scale.astype(x.dtype) for each in (factor, shift))
    if bias is not None:
        shift = shift + bias.astype(x.dtype)
    y = x * _spread(factor, x, (axis,)) + _spread(shift, x, (axis,))
    return y.astype(dtype)


def _average(run: Run, name: str, old: Array, new: Array, keep: float) -> Array:
    """Update a running statistic with that of the batch, and return it."""
    value = (old * keep + new * (1 - keep)).astype(old.dtype)
    run.update(name, value)
    return value


def _renorm_statistics(run: Run, shape: tuple[int, ...]) -> dict[str, Array]:
    """Return the running averages of batch renormalization (Ioffe, 2017), in order."""
    first = draw(run.options["moving_mean_initializer"], None)
    variance = draw(run.options["moving_variance_initializer"], None)
    deviation = lambda *args: jnp.sqrt(variance(*args))
    starts = {"stddev": deviation, "renorm_mean": first, "renorm_stddev": deviation}
    return {
        name: run.weight(name, shape, drawn=drawn, trained=False)
        for name, drawn in starts.items()
    }


def _renorm(
    run: Run, kept: dict[str, Array], mean: Array, var: Array
) -> tuple[Array, Array]:
    """Update the averages, and return the corrections `r` and `d` of the paper."""
    o = run.options
    limits = o["renorm_clipping"] or {}
    deviation = jnp.sqrt(var + o["epsilon"])
    usual = jnp.maximum(kept["renorm_stddev"], o["epsilon"] ** 0.5)
    ratio = deviation / usual
    distance = (mean - kept["renorm_mean"]) / usual
    ratio = jnp.clip(ratio, limits.get("rmin"), limits.get("rmax"))
    if limits.get("dmax") is not None:
        distance = jnp.clip(distance, -limits["dmax"], limits["dmax"])
    for name, new in (("renorm_mean", mean), ("renorm_stddev", deviation)):
        _average(run, name, kept[name], new, o["renorm_momentum"])
    _average(run, "mean", kept["mean"], mean, o["momentum"])
    moved = _average(run, "stddev", kept["stddev"], deviation, o["momentum"])
    run.update("var", jnp.maximum(moved**2 - o["epsilon"], 0).astype(moved.dtype))
    return lax.stop_gradient((ratio, distance))


def _moments(x: Array, axes: Axes, mask: Array | None) -> tuple[Array, Array]:
    if mask is None:
        return jnp.mean(x, axis=axes), jnp.var(x, axis=axes)
    real = jnp.broadcast_to(mask.astype(x.dtype)[..., None], x.shape)
    count = jnp.sum(real, axis=axes) + 1e-7
    mean = jnp.sum(real * x, axis=axes) / count
    far = jnp.square(x - jnp.broadcast_to(mean, x.shape))
    return mean, jnp.sum(real * far, axis=axes) / count


def _layer(run: Run, x: Array) -> Array:
    o, dtype = run.options, x.dtype
    x, axes = _wide(x), _axes(x, o["axis"])
    if o["rms_scaling"]:
        var = jnp.var(x, axis=axes, keepdims=True)
        scale = run.weight("scale", tuple(x.shape[a] for a in axes), "gamma")
        factor = jnp.broadcast_to(lax.rsqrt(var + o["epsilon"]), x.shape)
        return (x * factor * _spread(scale.astype(x.dtype), x, axes)).astype(dtype)
    mean = jnp.mean(x, axis=axes, keepdims=True)
    var = jnp.var(x, axis=axes, keepdims=True)
    factor = jnp.broadcast_to(lax.rsqrt(var + o["epsilon"]), x.shape)
    y = (x - jnp.broadcast_to(mean, x.shape)) * factor
    return _scale_and_shift(run, y, axes).astype(dtype)


def _rms(run: Run, x: Array) -> Array:
    dtype = x.dtype
    x, axes = _wide(x), _axes(x, run.options["axis"])
    scale = run.weight("scale", tuple(x.shape[a] for a in axes), start="Ones")
    square = jnp.mean(jnp.square(x), axis=axes, keepdims=True)
    factor = jnp.broadcast_to(lax.rsqrt(square + run.options["epsilon"]), x.shape)
    return (x * factor * _spread(scale.astype(x.dtype), x, axes)).astype(dtype)


def _group(run: Run, x: Array) -> Array:
    o, dtype = run.options, x.dtype
    x, (axis,) = _wide(x), _axes(x, o["axis"])
    channels = x.shape[axis]
    groups = channels if o["groups"] == -1 else o["groups"]
    last = jnp.moveaxis(x, axis, -1)
    axes = tuple(range(1, x.ndim - 1))
    y = group_norm(last, groups, axes=axes, epsilon=o["epsilon"])
    y = jnp.moveaxis(y, -1, axis)
    return _scale_and_shift(run, y, (axis,)).astype(dtype)


def _unit(run: Run, x: Array) -> Array:
    return unit_length(x, _axes(x, run.options["axis"]), 1e-12)


def _adapted(run: Run, x: Array) -> Array:
    o = run.options
    if not jnp.issubdtype(x.dtype, jnp.floating):
        x = x.astype(jnp.float32)
    axes = () if o["axis"] is None else _axes(x, o["axis"])
    shape = tuple(x.shape[axis] for axis in axes)
    if o["mean"] is None:
        mean = run.weight("mean", shape, trained=False)
        var = run.weight("var", shape, trained=False, start="Ones")
    else:
        sizes = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
        mean, var = (
            jnp.asarray(np.broadcast_to(o[name], sizes).reshape(shape))
            for name in ("mean", "variance")
        )
    mean, var = (_spread(each.astype(x.dtype), x, axes) for each in (mean, var))
    deviation = jnp.maximum(jnp.sqrt(var), 1e-7)
    return mean + x * deviation if o["invert"] else (x - mean) / deviation


def _rescaling(run: Run, x: Array) -> Array:
    if not jnp.issubdtype(x.dtype, jnp.floating):
        x = x.astype(jnp.float32)
    scale, offset = (
        jnp.broadcast_to(jnp.asarray(run.options[name], x.dtype), x.shape)
        for name in ("scale", "offset")
    )
    return x * scale + offset


def _numbers(value: Any, depth: int = 0) -> Any:
    if isinstance(value, list | tuple) and depth < 8:
        return tuple(_numbers(each, depth + 1) for each in value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be finite numbers")
    if not math.isfinite(value):
        raise ValueError("must be finite numbers")
    return float(value)


def _array(value: Any) -> Any:
    if isinstance(value, dict) and value.get("class_name") in (
        "__tensor__",
        "__numpy__",
    ):
        value = value["config"]["value"]
    return _numbers(value)


def _clipping(value: Any) -> dict[str, float]:
    if not isinstance(value, dict | FrozenDict):
        raise ValueError("must be a dictionary of rmin, rmax and dmax")
    unknown = set(value) - {"rmin", "rmax", "dmax"}
    if unknown:
        raise ValueError(f"must not have {min(unknown)!r}")
    given = {name: each for name, each in value.items() if each is not None}
    return {name: number(0)(each) for name, each in given.items()}


AXIS = {"axis": Option(either(whole(-8), several(whole(-8))), -1)}
_SHIFT = {
    "center": Option(flag, True),
    "scale": Option(flag, True),
    **weight("gamma", "Ones"),
    **weight("beta", "Zeros"),
}
_EPSILON = {"epsilon": Option(number(0), 1e-3)}

LAYERS = {
    "BatchNormalization": Entry(
        _batch,
        {
            "axis": Option(either(whole(-8), several(whole(-8), 1)), -1),
            "momentum": Option(number(), 0.99),
            **_EPSILON,
            **_SHIFT,
            **{
                key: value
                for name, start in (("mean", "Zeros"), ("variance", "Ones"))
                for key, value in weight(f"moving_{name}", start).items()
                if key.endswith("initializer")
            },
            # On one device, statistics are always synchronized.
            "synchronized": Option(anything, False),
            "renorm": Option(flag, False),
            "renorm_clipping": Option(optional(_clipping), None),
            "renorm_momentum": Option(number(0, 1), 0.99),
            "fused": Option(anything, None),
            "virtual_batch_size": Option(choice(None), None),
        },
        keeps_mask=True,
        kwargs=("mask",),
    ),
    "LayerNormalization": Entry(
        _layer,
        {**AXIS, **_EPSILON, **_SHIFT, "rms_scaling": Option(flag, False)},
        keeps_mask=True,
    ),
    "RMSNormalization": Entry(_rms, {**AXIS, "epsilon": Option(number(0), 1e-6)}),
    "GroupNormalization": Entry(
        _group,
        {"groups": Option(whole(-1), 32), **AXIS, **_EPSILON, **_SHIFT},
        keeps_mask=True,
    ),
    "UnitNormalization": Entry(_unit, AXIS, keeps_mask=True),
    "Normalization": Entry(
        _adapted,
        {
            "axis": Option(optional(either(whole(-8), several(whole(-8)))), -1),
            "mean": Option(optional(_array), None),
            "variance": Option(optional(_array), None),
            "invert": Option(flag, False),
        },
        keeps_mask=True,
        counters=1,
    ),
    "Rescaling": Entry(
        _rescaling,
        {"scale": Option(_array, 1.0), "offset": Option(_array, 0.0)},
        keeps_mask=True,
    ),
}

"""Keras' initializers: how the weights of a layer are drawn."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax.core import FrozenDict

from fdl.arrays import Array
from fdl.keras.table import fourier

Draw = Callable[[Array, tuple[int, ...], Any], Array]

_SCALED = {  # scale, mode, distribution
    "GlorotUniform": (1.0, "fan_avg", "uniform"),
    "GlorotNormal": (1.0, "fan_avg", "truncated_normal"),
    "HeUniform": (2.0, "fan_in", "uniform"),
    "HeNormal": (2.0, "fan_in", "truncated_normal"),
    "LecunUniform": (1.0, "fan_in", "uniform"),
    "LecunNormal": (1.0, "fan_in", "truncated_normal"),
}
_OPTIONS: dict[str, dict[str, Any]] = {
    **{name: {} for name in _SCALED},
    "Zeros": {},
    "Ones": {},
    "Constant": {"value": 0.0},
    "Identity": {"gain": 1.0},
    "Orthogonal": {"gain": 1.0},
    "RandomNormal": {"mean": 0.0, "stddev": 0.05},
    "TruncatedNormal": {"mean": 0.0, "stddev": 0.05},
    "RandomUniform": {"minval": -0.05, "maxval": 0.05},
    "VarianceScaling": {
        "scale": 1.0,
        "mode": "fan_in",
        "distribution": "truncated_normal",
    },
    "STFT": {name: default for name, (_, default) in fourier.OPTIONS.items()},
}
INITIALIZERS = tuple(_OPTIONS)
_ALIASES = {
    "OrthogonalInitializer": "Orthogonal",
    "IdentityInitializer": "Identity",
    "STFTInitializer": "STFT",
}
_NO_MATTER = ("seed", "dtype")
_FANS = ("input_axes", "output_axes")


def check(value: Any) -> Mapping[str, Any]:
    """Return an initializer with all of its options, or raise ValueError."""
    if isinstance(value, FrozenDict):
        return value
    name, given = (value, {}) if isinstance(value, str) else _parts(value)
    name = {_plain(known): known for known in _OPTIONS}.get(
        _plain(_ALIASES.get(name, name)), name
    )
    if name not in _OPTIONS:
        raise ValueError(f"must be one of {', '.join(_OPTIONS)}")
    if name == "STFT":
        return FrozenDict({"class_name": name, **_fourier(given)})
    options = dict(_OPTIONS[name])
    for option, one in given.items():
        if option in _NO_MATTER or (option in _FANS and one is None):
            continue
        if option in _FANS and name in (*_SCALED, "VarianceScaling"):
            options[option] = _axes(option, one)
            continue
        if option not in options or type(one) not in (int, float, str):
            raise ValueError(f"must not have {option}={one!r}")
        options[option] = one
    for option, default in _OPTIONS[name].items():
        one = options[option]
        if isinstance(default, str) != isinstance(one, str):
            raise ValueError(f"must not have {option}={one!r}")
        if not isinstance(one, str) and not math.isfinite(one):
            raise ValueError(f"must not have {option}={one!r}")
    if options.get("mode", "fan_in") not in ("fan_in", "fan_out", "fan_avg"):
        raise ValueError("must have mode='fan_in', 'fan_out' or 'fan_avg'")
    if options.get("distribution", "normal") not in _DISTRIBUTIONS:
        raise ValueError(f"must have a distribution of {', '.join(_DISTRIBUTIONS)}")
    return FrozenDict({"class_name": name, **options})


def draw(initializer: Mapping[str, Any], fans: tuple[int, int] | None) -> Draw:
    """Return a function that draws a weight.

    Args:
        initializer: As `check` returns it.
        fans: Numbers of inputs and outputs; None to tell them by the shape.
    """
    name = initializer["class_name"]

    def drawn(key: Any, shape: tuple[int, ...], dtype: Any) -> Array:
        o = initializer
        match name:
            case "Zeros":
                return jnp.zeros(shape, dtype)
            case "Ones":
                return jnp.ones(shape, dtype)
            case "Constant":
                return jnp.full(shape, o["value"], dtype)
            case "Identity":
                return o["gain"] * jnp.eye(*shape, dtype=dtype)
            case "Orthogonal":
                return jax.nn.initializers.orthogonal(o["gain"])(key, shape, dtype)
            case "RandomNormal":
                return o["mean"] + o["stddev"] * jax.random.normal(key, shape, dtype)
            case "TruncatedNormal":
                unit = jax.random.truncated_normal(key, -2, 2, shape, dtype)
                return o["mean"] + o["stddev"] * unit
            case "RandomUniform":
                return jax.random.uniform(key, shape, dtype, o["minval"], o["maxval"])
            case "STFT":
                return jnp.asarray(fourier.kernel(o, shape), dtype)
            case "VarianceScaling":
                form = (o["scale"], o["mode"], o["distribution"])
            case _:
                form = _SCALED[name]
        ins, outs = (o.get(axes) for axes in _FANS)
        if ins is not None and outs is not None:
            count = lambda axes: math.prod(shape[axis] for axis in axes)
            return _scaled(key, shape, dtype, *form, (count(ins), count(outs)))
        return _scaled(key, shape, dtype, *form, fans or fans_of(shape))

    return drawn


def fans_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the numbers of inputs and outputs of a kernel.

    Example:
        >>> fans_of((3, 3, 8, 16))
        (72, 144)
    """
    if not shape:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field


_DISTRIBUTIONS = ("uniform", "normal", "truncated_normal", "untruncated_normal")


def _scaled(
    key: Any,
    shape: tuple[int, ...],
    dtype: Any,
    scale: float,
    mode: str,
    distribution: str,
    fans: tuple[int, int],
) -> Array:
    fan = {"fan_in": fans[0], "fan_out": fans[1], "fan_avg": sum(fans) / 2}[mode]
    variance = scale / max(1.0, fan)
    if distribution == "uniform":
        limit = math.sqrt(3 * variance)
        return jax.random.uniform(key, shape, dtype, -limit, limit)
    if distribution == "untruncated_normal":
        return math.sqrt(variance) * jax.random.normal(key, shape, dtype)
    # The standard deviation of a unit normal variable that is cut off at 2.
    stddev = math.sqrt(variance) / 0.87962566103423978
    return stddev * jax.random.truncated_normal(key, -2, 2, shape, dtype)


def _axes(option: str, value: Any) -> tuple[int, ...]:
    if isinstance(value, list | tuple) and len(value) <= 8:
        if all(type(axis) is int and -8 <= axis < 8 for axis in value):
            return tuple(value)
    raise ValueError(f"must not have {option}={value!r}")


def _fourier(given: dict[str, Any]) -> dict[str, Any]:
    unknown = set(given) - set(fourier.OPTIONS) - set(_NO_MATTER)
    if unknown:
        raise ValueError(f"must not have {min(unknown)}=")
    return {
        name: check(given.get(name, default))
        for name, (check, default) in fourier.OPTIONS.items()
    }


def _parts(value: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(value, dict) or not isinstance(value.get("class_name"), str):
        raise ValueError(f"must be one of {', '.join(_OPTIONS)}")
    config = value.get("config")
    return value["class_name"], config if isinstance(config, dict) else {}


def _plain(name: str) -> str:
    return name.replace("_", "").lower()

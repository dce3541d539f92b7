"""Keras' initializers, by their configs in files."""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax.core import FrozenDict

from fdl.keras.table import fourier
from fdl.nn.initializers import CLASSES, Draw, VarianceScaling

_FANS = ("input_axes", "output_axes")


def _defaults(make: Any) -> dict[str, Any]:
    if isinstance(make, functools.partial):
        return {}
    fields = dataclasses.fields(make)
    return {one.name: one.default for one in fields if one.name not in _FANS}


_OPTIONS: dict[str, dict[str, Any]] = {
    **{name: _defaults(make) for name, make in CLASSES.items()},
    "STFT": {name: default for name, (_, default) in fourier.OPTIONS.items()},
}
INITIALIZERS = tuple(_OPTIONS)
_SCALED = [name for name in CLASSES if isinstance(CLASSES[name](), VarianceScaling)]
_ALIASES = {
    "OrthogonalInitializer": "Orthogonal",
    "IdentityInitializer": "Identity",
    "STFTInitializer": "STFT",
}
_NO_MATTER = ("seed", "dtype")


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
        if option in _FANS and name in _SCALED:
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
    if options.get("distribution") == "normal":  # an alias in Keras
        options["distribution"] = "truncated_normal"
    try:
        CLASSES[name](**options)
    except ValueError as error:
        raise ValueError(f"must not have {error}") from None
    return FrozenDict({"class_name": name, **options})


def draw(initializer: Mapping[str, Any], fans: tuple[int, int] | None) -> Draw:
    """Return a function that draws a weight.

    Args:
        initializer: An initializer, as `check` returns it.
        fans: Numbers of inputs and outputs; None to infer them from the shape.
    """
    options = {key: x for key, x in initializer.items() if key != "class_name"}
    name = initializer["class_name"]
    if name == "STFT":
        return lambda key, shape, dtype: jnp.asarray(
            fourier.kernel(options, shape), dtype
        )
    made = CLASSES[name](**options)
    if fans is not None and isinstance(made, VarianceScaling):
        return functools.partial(made, fans=fans)
    return made


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

"""Keras' regularizers and constraints, by their names in files."""

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from flax.core import FrozenDict

from fdl.arrays import Array
from fdl.keras import constraints

REGULARIZERS: dict[str, dict[str, float]] = {
    "L1": {"l1": 0.01},
    "L2": {"l2": 0.01},
    "L1L2": {"l1": 0.0, "l2": 0.0},
    "OrthogonalRegularizer": {"factor": 0.01},
}
CONSTRAINTS: dict[str, dict[str, Any]] = {
    "MaxNorm": {"max_value": 2.0, "axis": 0},
    "MinMaxNorm": {"min_value": 0.0, "max_value": 1.0, "rate": 1.0, "axis": 0},
    "NonNeg": {},
    "UnitNorm": {"axis": 0},
}
_CONSTRAINTS = {
    "MaxNorm": constraints.max_norm,
    "MinMaxNorm": constraints.min_max_norm,
    "NonNeg": constraints.non_neg,
    "UnitNorm": constraints.unit_norm,
    "SpectralNorm": constraints.spectral_norm,
}
SPECTRAL = FrozenDict({"class_name": "SpectralNorm"})
"""The constraint that stands for `SpectralNormalization`; Keras has no such class."""
_SHORT = {
    "l1": "L1",
    "l2": "L2",
    "l1_l2": "L1L2",
    "max_norm": "MaxNorm",
    "min_max_norm": "MinMaxNorm",
    "non_neg": "NonNeg",
    "unit_norm": "UnitNorm",
    "orthogonal_regularizer": "OrthogonalRegularizer",
}


def check(value: Any) -> Mapping[str, Any]:
    """Return a regularizer with all of its options, or raise ValueError."""
    return _checked(value, REGULARIZERS, {"mode": "rows"})


def check_constraint(value: Any) -> Mapping[str, Any]:
    """Return a constraint with all of its options, or raise ValueError."""
    return _checked(value, CONSTRAINTS, {})


def penalty(regularizer: Mapping[str, Any], w: Array) -> Array:
    """Return the penalty that a regularizer adds to the loss."""
    r = regularizer
    if r["class_name"] == "OrthogonalRegularizer":
        w = w if r["mode"] == "rows" else w.T
        unit = w / jnp.sqrt(jnp.maximum(jnp.sum(w**2, axis=1, keepdims=True), 1e-14))
        count = len(unit)
        products = jnp.abs(unit @ unit.T) * (1 - jnp.eye(count, dtype=w.dtype))
        return r["factor"] * 0.5 * products.sum() / max(1, count * (count - 1) / 2)
    total = jnp.zeros((), w.dtype)
    if r.get("l1"):
        total += r["l1"] * jnp.abs(w).sum()
    if r.get("l2"):
        total += r["l2"] * jnp.square(w).sum()
    return total


def constraint(described: Mapping[str, Any]) -> constraints.Constraint:
    """Return a constraint of `fdl.keras.constraints` from its description."""
    options = {k: v for k, v in described.items() if k != "class_name"}
    return _CONSTRAINTS[described["class_name"]](**options)


def _checked(
    value: Any, known: dict[str, dict[str, Any]], texts: dict[str, str]
) -> Mapping[str, Any]:
    if isinstance(value, FrozenDict):
        return value
    name, given = value, {}
    if isinstance(value, dict):
        name, given = value.get("class_name"), value.get("config")
    name = _SHORT.get(name, name) if isinstance(name, str) else name
    if not isinstance(name, str) or name not in known or not isinstance(given, dict):
        raise ValueError(f"must be one of {', '.join(known)}")
    options = dict(known[name])
    if name == "OrthogonalRegularizer":
        options |= texts
    for option, one in given.items():
        if option not in options:
            raise ValueError(f"must not have {option}={one!r}")
        options[option] = _value(option, one)
    return FrozenDict({"class_name": name, **options})


def _value(option: str, value: Any) -> Any:
    if option == "mode" and value in ("rows", "columns"):
        return value
    if option == "axis" and isinstance(value, list | tuple):
        if all(type(each) is int for each in value):
            return tuple(value)
    elif option == "axis" and type(value) is int:
        return value
    elif (
        option not in ("axis", "mode")
        and type(value) in (int, float)
        and math.isfinite(value)
        and value >= 0
    ):
        return float(value)
    raise ValueError(f"must not have {option}={value!r}")

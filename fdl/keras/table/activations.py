"""Keras' activations by the names that files have."""

from typing import Any

import jax.numpy as jnp

from fdl import nn
from fdl.arrays import Array
from fdl.nn import activations

ACTIVATIONS = {
    name: getattr(activations, name)
    for name in activations.__all__
    if name != "threshold"  # needs arguments, which a name does not have
} | {
    "swish": nn.silu,
    "hard_swish": nn.hard_silu,
    "keras2>hard_sigmoid": lambda x: jnp.clip(0.2 * x + 0.5, 0, 1),
}


def check(value: Any) -> str:
    """Return the name of an activation, or raise ValueError."""
    if value is None:
        return "linear"
    if isinstance(value, dict) and value.get("class_name") == "function":
        value = value.get("config")
    if not isinstance(value, str) or value not in ACTIVATIONS:
        raise ValueError(
            f"is no activation that fdl knows; those are {', '.join(ACTIVATIONS)}"
        )
    return value


def activate(name: str, x: Array) -> Array:
    """Apply an activation."""
    return ACTIVATIONS[name](x)

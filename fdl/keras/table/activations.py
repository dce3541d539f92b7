"""Keras' activations, by their names in files."""

from typing import Any

import jax.numpy as jnp

from fdl import nn
from fdl.arrays import Array
from fdl.nn import activations


def sparsemax(x: Array) -> Array:
    """Apply the sparsemax of Keras 3.15, whose outputs do not sum to one."""
    ordered = jnp.flip(jnp.sort(x, axis=-1), axis=-1)
    sums = jnp.cumsum(ordered, axis=-1)
    rank = jnp.broadcast_to(jnp.arange(1, x.shape[-1] + 1, dtype=x.dtype), x.shape)
    support = ordered - (sums - 1) / rank > 0
    count = jnp.sum(support, axis=-1, keepdims=True)
    # Martins and Astudillo (2016) use the last of these sums, not their total.
    total = jnp.sum(jnp.where(support, sums, 0), axis=-1, keepdims=True)
    return jnp.maximum(x - jnp.broadcast_to((total - 1) / count, x.shape), 0)


ACTIVATIONS = {
    name: getattr(activations, name)
    for name in activations.__all__
    if name != "threshold"  # it needs arguments, and a name has none
} | {
    "swish": nn.silu,
    "hard_swish": nn.hard_silu,
    "sparsemax": sparsemax,
    "keras2>hard_sigmoid": lambda x: jnp.clip(0.2 * x + 0.5, 0, 1),
}


def check(value: Any) -> str:
    """Return the name of a supported activation, or raise ValueError."""
    if value is None:
        return "linear"
    if isinstance(value, dict) and value.get("class_name") == "function":
        value = value.get("config")
    if not isinstance(value, str) or value not in ACTIVATIONS:
        raise ValueError(
            f"is not a supported activation; choose one of {', '.join(ACTIVATIONS)}"
        )
    return value


def activate(name: str, x: Array) -> Array:
    """Apply an activation."""
    return ACTIVATIONS[name](x)

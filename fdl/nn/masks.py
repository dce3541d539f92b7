"""Attention masks."""

from typing import Any

import jax.numpy as jnp

from fdl.arrays import Array


def allowed_pairs(
    mask: Array | None, causal: bool, shape: tuple[Any, ...]
) -> Array | None:
    """Combine both masks; return None if every query may attend to every key."""
    if mask is None and not causal:
        return None
    allowed = jnp.ones(shape[-2:], bool)
    if causal:
        allowed = jnp.tril(allowed)
    allowed = jnp.broadcast_to(allowed, shape)
    return allowed if mask is None else allowed & spread(mask, shape)


def spread(mask: Array, shape: tuple[Any, ...]) -> Array:
    """Broadcast a mask to scores, whose batch size may be symbolic in an export.

    Raises:
        ValueError: If the mask does not broadcast to `shape`.
    """
    try:
        return jnp.broadcast_to(mask, shape)
    except ValueError as error:
        raise ValueError(
            f"a mask of shape {mask.shape} does not broadcast to scores of shape "
            f"{shape}."
        ) from error

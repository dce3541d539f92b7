"""Masks for padded sequences."""

import jax.numpy as jnp
from jaxtyping import Bool, Integer

from fdl.arrays import Array


def length_mask(
    length: Integer[Array, "*batch"], time: int
) -> Bool[Array, "*batch {time}"]:
    """Return a mask that is True at the first `length` of `time` steps.

    Args:
        length: Number of real steps of each sequence, clipped to [0, time].
        time: Number of steps, including padding.

    Example:
        >>> length_mask(jnp.array([0, 2]), time=3)
        Array([[False, False, False],
               [ True,  True, False]], dtype=bool)
    """
    length = jnp.asarray(length)[..., None]
    step = jnp.arange(time)
    return jnp.broadcast_to(step, (*length.shape[:-1], time)) < length

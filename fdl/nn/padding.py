"""Masks of padding, which sequences of unlike lengths need to lie in one array."""

import jax.numpy as jnp
from jaxtyping import Bool, Integer

from fdl.arrays import Array


def length_mask(
    length: Integer[Array, "*batch"], time: int
) -> Bool[Array, "*batch {time}"]:
    """Return a mask that is True at the first `length` of `time` steps.

    Args:
        length: How many steps of each sequence are real, from 0 to `time`; what is
            below counts as 0, what is above as `time`.
        time: How many steps there are with the padding.

    Example:
        >>> length_mask(jnp.array([0, 2]), time=3)
        Array([[False, False, False],
               [ True,  True, False]], dtype=bool)
    """
    length = jnp.asarray(length)[..., None]
    step = jnp.arange(time)
    return jnp.broadcast_to(step, (*length.shape[:-1], time)) < length

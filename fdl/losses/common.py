"""What losses of several families share."""

import jax.numpy as jnp
from jaxtyping import Float, Shaped

from fdl.arguments import require_same_shape
from fdl.arrays import Array

EPSILON = 1e-7
"""Keras' smallest number to divide by or to take the logarithm of."""

Outputs = Float[Array, "*outputs"]


def matched(
    outputs: Outputs, targets: Shaped[Array, "*targets"]
) -> tuple[Outputs, Outputs]:
    """Return both as arrays of the outputs' type, after a check of their shapes.

    Example:
        >>> matched(jnp.zeros(1), jnp.array([2]))[1]
        Array([2.], dtype=float32)
    """
    require_same_shape(outputs, targets)
    outputs = jnp.asarray(outputs)
    return outputs, jnp.asarray(targets, outputs.dtype)


def mean_over_values(losses: Outputs) -> Float[Array, "*batch"]:
    """Return the mean over the last axis, unless that is the axis of examples.

    Example:
        >>> mean_over_values(jnp.array([[1.0, 2.0], [3.0, 4.0]]))
        Array([1.5, 3.5], dtype=float32)
        >>> mean_over_values(jnp.array([1.0, 2.0]))
        Array([1., 2.], dtype=float32)
    """
    return jnp.mean(losses, axis=-1) if losses.ndim > 1 else losses

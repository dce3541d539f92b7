"""Numerics shared by several families of losses."""

import jax.numpy as jnp
from jaxtyping import Float, Shaped

from fdl.arguments import require_same_shape
from fdl.arrays import Array

EPSILON = 1e-7
"""Keras' smallest divisor and smallest argument of a logarithm."""

Outputs = Float[Array, "*outputs"]


def matched(
    outputs: Outputs, targets: Shaped[Array, "*targets"]
) -> tuple[Outputs, Outputs]:
    """Check that the shapes agree; return both as arrays of the outputs' type.

    Example:
        >>> matched(jnp.zeros(1), jnp.array([2]))[1]
        Array([2.], dtype=float32)
    """
    require_same_shape(outputs, targets)
    outputs = jnp.asarray(outputs)
    return outputs, jnp.asarray(targets, outputs.dtype)


def mean_over_values(losses: Outputs) -> Float[Array, "*batch"]:
    """Return the mean over the last axis, unless it is the only one, of examples.

    Example:
        >>> mean_over_values(jnp.array([[1.0, 2.0], [3.0, 4.0]]))
        Array([1.5, 3.5], dtype=float32)
        >>> mean_over_values(jnp.array([1.0, 2.0]))
        Array([1., 2.], dtype=float32)
    """
    return jnp.mean(losses, axis=-1) if losses.ndim > 1 else losses


def absolute(x: Outputs) -> Outputs:
    """Return `|x|`, with a gradient of 0 at 0, as in Keras; that of `jnp.abs` is 1.

    Example:
        >>> absolute(jnp.array([-2.0, 0.0, 3.0]))
        Array([2., 0., 3.], dtype=float32)
    """
    return x * jnp.sign(x)


def clip(x: Outputs, low: float, high: float) -> Outputs:
    """Clip values; at the limits themselves, the gradient is 1, as in Keras.

    The gradient of `jnp.clip` is 1/2 there, such as for a probability of exactly 1.

    Example:
        >>> x = jnp.array([-1.0, 0.5, 2.0])
        >>> clip(x, 0.0, 1.0)
        Array([0. , 0.5, 1. ], dtype=float32)
    """
    return jnp.where(x < low, low, jnp.where(x > high, high, x))

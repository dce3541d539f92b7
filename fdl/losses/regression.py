"""Losses of regression.

These are Keras' functions of the same names, with the outputs first: the mean over the
last axis, one number for each example. Outputs `(N,)` are N examples of one value each,
and give `(N,)`; Keras would average them. Outputs and targets must have the same shape.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Float, Shaped

from fdl.arrays import Array, Number
from fdl.losses.common import EPSILON, absolute, matched, mean_over_values
from fdl.ranges import require_number

Outputs = Float[Array, "*outputs"]
Targets = Shaped[Array, "*targets"]
Losses = Float[Array, "*batch"]


def mean_squared_error(outputs: Outputs, targets: Targets) -> Losses:
    """Return the mean of `(outputs - targets)^2` over the last axis.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> mean_squared_error(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 4.0]]))
        Array([2.], dtype=float32)
        >>> mean_squared_error(jnp.array([1.0, 2.0]), jnp.array([1.0, 4.0]))
        Array([0., 4.], dtype=float32)
    """
    outputs, targets = matched(outputs, targets)
    return mean_over_values(jnp.square(outputs - targets))


def mean_absolute_error(outputs: Outputs, targets: Targets) -> Losses:
    """Return the mean of `|outputs - targets|` over the last axis.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> mean_absolute_error(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 4.0]]))
        Array([1.], dtype=float32)
    """
    outputs, targets = matched(outputs, targets)
    return mean_over_values(absolute(outputs - targets))


def mean_absolute_percentage_error(outputs: Outputs, targets: Targets) -> Losses:
    """Return the mean of `100 |outputs - targets| / |targets|` over the last axis.

    The divisor is at least 1e-7.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> mean_absolute_percentage_error(jnp.array([[3.0]]), jnp.array([[4.0]]))
        Array([25.], dtype=float32)
    """
    outputs, targets = matched(outputs, targets)
    size = jnp.maximum(jnp.abs(targets), EPSILON)
    return 100 * mean_over_values(absolute((outputs - targets) / size))


def mean_squared_logarithmic_error(outputs: Outputs, targets: Targets) -> Losses:
    """Return the mean of `(log(1 + outputs) - log(1 + targets))^2` over the last axis.

    Both should be positive: values below 1e-7 count as 1e-7, without a gradient.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> e = jnp.exp(1.0)[None, None]
        >>> mean_squared_logarithmic_error(e**3 - 1, e - 1)
        Array([4.], dtype=float32)
    """
    outputs, targets = matched(outputs, targets)
    logs = [jnp.log(jnp.maximum(x, EPSILON) + 1) for x in (outputs, targets)]
    return mean_over_values(jnp.square(logs[0] - logs[1]))


def huber(outputs: Outputs, targets: Targets, *, delta: Number = 1.0) -> Losses:
    """Return the mean of Huber's loss over the last axis (Huber, 1964).

    Half the squared error up to `delta`, and beyond it a line with the same slope.

    Args:
        outputs: Predicted values.
        targets: True values.
        delta: The error beyond which the loss is linear, at least 0.

    Raises:
        ValueError: If the shapes differ, or `delta` is negative.

    Example:
        >>> huber(jnp.array([0.5, 3.0]), jnp.zeros(2))
        Array([0.125, 2.5  ], dtype=float32)
    """
    require_number("[0, inf)", delta=delta)
    outputs, targets = matched(outputs, targets)
    size = jnp.abs(outputs - targets)
    line = delta * size - 0.5 * delta**2
    return mean_over_values(jnp.where(size <= delta, 0.5 * size**2, line))


def log_cosh(outputs: Outputs, targets: Targets) -> Losses:
    """Return the mean of `log(cosh(outputs - targets))` over the last axis.

    About half the squared error for small errors, and the absolute error minus log 2
    for large ones.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> log_cosh(jnp.array([0.0, 100.0]), jnp.zeros(2))
        Array([ 0.      , 99.306854], dtype=float32)
    """
    outputs, targets = matched(outputs, targets)
    error = outputs - targets
    return mean_over_values(error + jax.nn.softplus(-2 * error) - math.log(2))


def poisson(outputs: Outputs, targets: Targets) -> Losses:
    """Return the mean of `outputs - targets log(outputs)` over the last axis.

    The negative log-likelihood of counts `targets` under Poisson distributions with
    the means `outputs`, which must be positive, without the term `log(targets!)`.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> poisson(jnp.array([[2.5, 2.0]]), jnp.array([[0, 0]]))
        Array([2.25], dtype=float32)
    """
    outputs, targets = matched(outputs, targets)
    return mean_over_values(outputs - targets * jnp.log(outputs + EPSILON))


def cosine_similarity(
    outputs: Float[Array, "*batch features"], targets: Targets
) -> Losses:
    """Return the negative cosine of the angle between vectors along the last axis.

    As in Keras, the sign makes it a loss: -1 for the same direction and 1 for the
    opposite one. A vector of zeros gives 0.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> cosine_similarity(jnp.array([[3.0, 4.0]]), jnp.array([[1.0, 0.0]]))
        Array([-0.6], dtype=float32)
    """
    outputs, targets = matched(outputs, targets)

    def unit(x: Outputs) -> Outputs:
        square = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
        return x * jax.lax.rsqrt(jnp.maximum(square, EPSILON**2))

    return -jnp.sum(unit(outputs) * unit(targets), axis=-1)

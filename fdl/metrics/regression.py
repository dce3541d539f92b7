"""Metrics of regression.

Outputs and targets have the same shape, `(N,)` or `(*batch, values)`; weights are per
example or per value.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from fdl.arguments import require_same_shape
from fdl.arrays import Array
from fdl.metrics.sums import Mean, double, mean, ratio, spread, weighted_sum

Outputs = Float[Array, "*outputs"]
Targets = Shaped[Array, "*targets"]
Weights = Shaped[Array, "*leading"] | None


class RootMean(Mean):
    """Square root of a mean."""

    __slots__ = ()

    def compute(self) -> Float[np.ndarray, "*members"]:
        """Return `sqrt(total / weight)`."""
        return np.asarray(np.sqrt(super().compute()))


class Determination(NamedTuple):
    """Sums for a coefficient of determination, for each output value.

    Attributes:
        residual: Sum of the squared errors.
        total: Sum of the targets.
        square: Sum of the squared targets.
        weight: Sum of the weights.
    """

    residual: Float[Array, "*members values"]
    total: Float[Array, "*members values"]
    square: Float[Array, "*members values"]
    weight: Float[Array, "*members values"]

    def compute(self) -> Float[np.ndarray, "*members"]:
        """Return the mean over values; a value with constant targets counts as 0."""
        residual, total, square, weight = map(double, self)
        score = 1 - ratio(residual, square - total * ratio(total, weight))
        return np.asarray(np.mean(np.where(np.isinf(score), 0, score), axis=-1))


def mean_absolute_error(
    outputs: Outputs, targets: Targets, weights: Weights = None
) -> Mean:
    """Return the mean of `|outputs - targets|` over examples and values.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> found = mean_absolute_error(jnp.array([1.0, 4.0]), jnp.array([1.0, 2.0]))
        >>> float(found.compute())
        1.0
    """
    outputs, targets = _matched(outputs, targets)
    return mean(jnp.abs(outputs - targets), weights)


def mean_squared_error(
    outputs: Outputs, targets: Targets, weights: Weights = None
) -> Mean:
    """Return the mean of `(outputs - targets)^2` over examples and values.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> found = mean_squared_error(jnp.array([1.0, 4.0]), jnp.array([1.0, 2.0]))
        >>> float(found.compute())
        2.0
    """
    outputs, targets = _matched(outputs, targets)
    return mean(jnp.square(outputs - targets), weights)


def root_mean_squared_error(
    outputs: Outputs, targets: Targets, weights: Weights = None
) -> RootMean:
    """Return the square root of `mean_squared_error`, in the unit of the targets.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> one, two = jnp.array([3.0, 0.0]), jnp.array([0.0, 3.0])
        >>> float(root_mean_squared_error(one, two).compute())
        3.0
    """
    return RootMean(*mean_squared_error(outputs, targets, weights))


def r2_score(
    outputs: Outputs, targets: Targets, weights: Weights = None
) -> Determination:
    """Return the coefficient of determination, Keras' `R2Score`.

    `1 - sum((outputs - targets)^2) / sum((targets - mean(targets))^2)` for each value,
    then the mean over values: 1 for perfect outputs, and 0 for always predicting the
    mean of the targets. Sums are in single precision, so standardize targets whose mean
    is a thousand times as large as their spread.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> targets = jnp.array([1.0, 2.0, 3.0])
        >>> float(r2_score(jnp.array([1.0, 2.0, 4.0]), targets).compute())
        0.5
    """
    outputs, targets = _matched(outputs, targets)
    each = spread(weights, outputs.shape)
    if outputs.ndim < 2:
        outputs, targets, each = (x[..., None] for x in (outputs, targets, each))
    parts = jnp.square(outputs - targets), targets, jnp.square(targets), jnp.ones(())
    axis = range(outputs.ndim - 1)
    sums = (
        weighted_sum(jnp.broadcast_to(part, each.shape), each, axis) for part in parts
    )
    return Determination(*sums)


def _matched(outputs: Outputs, targets: Targets) -> tuple[Outputs, Outputs]:
    require_same_shape(outputs, targets)
    kind = jnp.promote_types(jnp.asarray(outputs).dtype, jnp.float32)
    return jnp.asarray(outputs, kind), jnp.asarray(targets, kind)

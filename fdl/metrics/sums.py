"""Metrics as sums, so that batches of any size add up exactly.

A metric is a named tuple of sums, whose method `compute` turns them into a value. Sums
are added first and the value is computed once, so batches, steps and devices can be
measured separately.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Shaped

from fdl.arrays import Array


@runtime_checkable
class Metric(Protocol):
    """The interface of metrics: pytrees of sums with a method `compute`.

    Example:
        >>> isinstance(mean(jnp.ones(3)), Metric)
        True
    """

    def compute(self) -> np.ndarray:
        """Return the value in double precision, or one for each ensemble member."""
        ...


class Mean(NamedTuple):
    """A weighted average, as sums that can be added.

    Attributes:
        total: Sum of the values times their weights.
        weight: Sum of the weights.

    Example:
        >>> two, one = mean(jnp.array([1.0, 2.0])), mean(jnp.array([3.0]))
        >>> compute(add({"loss": two}, {"loss": one}))
        {'loss': 2.0}
    """

    total: Float[Array, "*members"]
    weight: Float[Array, "*members"]

    def compute(self) -> Float[np.ndarray, "*members"]:
        """Return the average; NaN where the weights sum to 0."""
        return ratio(self.total, self.weight)


Metrics = dict[str, Metric]
"""Metrics by name, as a learner's `step` and `evaluate` return them."""


def mean(
    values: Shaped[Array, "*values"], weights: Shaped[Array, "*leading"] | None = None
) -> Mean:
    """Return the average of values of any shape.

    Args:
        values: Values to average, over all axes.
        weights: Weights of the leading axes: one for each value, or one for each
            example with many values, such as tokens. A value of weight 0 does not
            count, even if it is NaN. None for equal weights.

    Raises:
        ValueError: If the axes of the weights are not the leading ones of the values.

    Example:
        >>> values = jnp.array([[1.0, 2.0], [jnp.nan, 8.0]])
        >>> compute({"of one example": mean(values, jnp.array([1, 0]))})
        {'of one example': 1.5}
    """
    if weights is None:
        total = jnp.sum(values, dtype=_precision(values))
        return Mean(total, jnp.float32(values.size))
    each = spread(weights, values.shape)
    return Mean(weighted_sum(values, each), jnp.sum(each))


def add(a: Metrics, b: Metrics) -> Metrics:
    """Return the metrics of two batches taken together."""
    return jax.tree.map(jnp.add, a, b)


def compute(metrics: Mapping[str, Metric]) -> dict[str, Any]:
    """Return the values of metrics; this copies their sums from the device.

    Returns:
        A number for each metric, or an array if it has a value for each member of an
        ensemble or for each class.

    Example:
        >>> compute({"loss": Mean(jnp.float32(3), jnp.float32(2))})
        {'loss': 1.5}
        >>> compute({"loss": Mean(jnp.array([3.0, 4.0]), jnp.array([2.0, 2.0]))})
        {'loss': array([1.5, 2. ])}
    """
    values = {
        name: np.asarray(metric.compute())
        for name, metric in jax.device_get(dict(metrics)).items()
    }
    return {
        name: value if value.ndim else float(value) for name, value in values.items()
    }


def spread(
    weights: Shaped[Array, "*leading"] | None, shape: Sequence[int]
) -> Float[Array, "*values"]:
    """Return a weight for each value, given weights of leading axes or None.

    Example:
        >>> spread(jnp.array([1, 2]), (2, 2))
        Array([[1., 1.],
               [2., 2.]], dtype=float32)
    """
    shape = tuple(shape)
    if weights is None:
        return jnp.ones(shape, jnp.float32)
    if weights.shape != shape[: weights.ndim]:
        raise ValueError(
            f"weights {weights.shape} must match the leading axes of the values "
            f"{shape}, such as {shape[:1]} for one weight per example."
        )
    missing = (1,) * (len(shape) - weights.ndim)
    aligned = jnp.asarray(weights, _precision(weights))
    return jnp.broadcast_to(aligned.reshape(*weights.shape, *missing), shape)


def weighted_sum(
    values: Shaped[Array, "*values"],
    weights: Float[Array, "*values"],
    axis: Sequence[int] | None = None,
) -> Float[Array, "*sums"]:
    """Return the sum of values times weights, where values of weight 0 do not count.

    Example:
        >>> weighted_sum(jnp.array([1.0, jnp.nan]), jnp.array([2.0, 0.0]))
        Array(2., dtype=float32)
    """
    axis = None if axis is None else tuple(axis)
    counted = jnp.where(weights == 0, 0, values)
    return jnp.sum(counted * weights, axis=axis, dtype=_precision(values))


def _precision(values: Shaped[Array, "*values"]) -> Any:
    """Return the type in which values are summed: float32, or theirs if it is wider."""
    return jnp.result_type(values, jnp.float32)


def ratio(a: ArrayLike, b: ArrayLike) -> Float[np.ndarray, "*values"]:
    """Return `a / b` in double precision on the host; NaN for 0 / 0.

    Example:
        >>> ratio(np.array([1, 0]), np.array([2, 0]))
        array([0.5, nan])
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(double(a) / double(b))


def double(x: ArrayLike) -> Float[np.ndarray, "*values"]:
    """Return an array in double precision on the host.

    Example:
        >>> double(jnp.array([1, 2]))
        array([1., 2.])
    """
    return np.asarray(x, np.float64)

"""Measures as sums and counts, so that batches of any size add up exactly."""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Shaped

from fdl.arrays import Array


class Mean(NamedTuple):
    """An average that can still be added to: a sum, and over how many.

    Example:
        >>> two, one = mean(jnp.array([1.0, 2.0])), mean(jnp.array([3.0]))
        >>> compute(add({"loss": two}, {"loss": one}))
        {'loss': 2.0}
    """

    total: Float[Array, "*members"]
    weight: Float[Array, "*members"]


Metrics = dict[str, Mean]
"""Measures by name, as a learner's `step` and `evaluate` return them."""


def mean(values: Shaped[Array, "*batch"]) -> Mean:
    """Return the average of `values`, of whatever shape."""
    return Mean(jnp.sum(values, dtype=jnp.float32), jnp.float32(values.size))


def accuracy(
    logits: Float[Array, "*batch classes"], label: Int[Array, "*batch"]
) -> Mean:
    """Return the fraction of examples whose largest logit is that of their label.

    Example:
        >>> accuracy(jnp.array([[2.0, 1.0], [3.0, 0.0]]), jnp.array([0, 1]))
        Mean(total=Array(1., dtype=float32), weight=Array(2., dtype=float32))
    """
    return mean(jnp.argmax(logits, axis=-1) == label)


def add(a: Metrics, b: Metrics) -> Metrics:
    """Return the measures of two batches taken together."""
    return jax.tree.map(jnp.add, a, b)


def compute(metrics: Mapping[str, Mean]) -> dict[str, float]:
    """Return the averages as plain numbers; this reads them back from the device."""
    return {
        name: float(total) / float(weight)
        for name, (total, weight) in jax.device_get(dict(metrics)).items()
    }


def confusion_matrix(
    label: Int[np.ndarray, " batch"],
    predicted: Int[np.ndarray, " batch"],
    num_classes: int,
) -> Int[np.ndarray, "classes classes"]:
    """Count examples by true class (row) and predicted class (column).

    Example:
        >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 1, 0]), 2)
        array([[1, 0],
               [1, 1]])
    """
    cells = label.astype(np.int64) * num_classes + predicted
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, -1)

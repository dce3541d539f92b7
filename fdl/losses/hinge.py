"""Hinge losses, which demand a margin of 1 between right and wrong.

These are Keras' functions of the same names, with the outputs first.
"""

import jax.numpy as jnp
from jaxtyping import Float, Shaped

from fdl.arrays import Array
from fdl.losses.common import matched, mean_over_values

Outputs = Float[Array, "*outputs"]
Targets = Shaped[Array, "*targets"]
Losses = Float[Array, "*batch"]


def hinge(outputs: Outputs, targets: Targets) -> Losses:
    """Return the mean of `max(1 - outputs targets, 0)` over the last axis.

    Outputs `(N,)` are N examples of one value each and give `(N,)`.

    Args:
        outputs: An unbounded score for each answer.
        targets: -1 or 1, or 0 or 1. Every 0 counts as -1; in Keras, only if all targets
            of the batch are 0 or 1.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> hinge(jnp.array([0.25, 2.0]), jnp.array([0, 1]))
        Array([1.25, 0.  ], dtype=float32)
    """
    return mean_over_values(_shortfall(outputs, targets))


def squared_hinge(outputs: Outputs, targets: Targets) -> Losses:
    """Return the mean of `max(1 - outputs targets, 0)^2` over the last axis.

    See `hinge` for the arguments.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> squared_hinge(jnp.array([0.25, 2.0]), jnp.array([0, 1]))
        Array([1.5625, 0.    ], dtype=float32)
    """
    return mean_over_values(jnp.square(_shortfall(outputs, targets)))


def categorical_hinge(
    outputs: Float[Array, "*batch classes"], targets: Targets
) -> Losses:
    """Return how far the lead of the right class over the others falls short of 1.

    Keras' form of Crammer & Singer's loss (2001): `max(wrong - right + 1, 0)`, where
    `wrong` is the maximum of `(1 - targets) outputs`, and therefore at least 0.

    Args:
        outputs: Scores of the classes.
        targets: One-hot vectors.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> logits, targets = jnp.array([[2.0, 1.5, 0.0]]), jnp.array([[1, 0, 0]])
        >>> categorical_hinge(logits, targets)
        Array([0.5], dtype=float32)
    """
    outputs, targets = matched(outputs, targets)
    right = jnp.sum(targets * outputs, axis=-1)
    wrong = jnp.max((1 - targets) * outputs, axis=-1)
    return jnp.maximum(wrong - right + 1, 0)


def _shortfall(outputs: Outputs, targets: Targets) -> Outputs:
    outputs, targets = matched(outputs, targets)
    sign = jnp.where(targets == 0, -1, targets)
    return jnp.maximum(1 - sign * outputs, 0)

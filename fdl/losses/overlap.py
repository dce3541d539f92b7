"""Losses of the overlap of predicted and true regions, for segmentation."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Float, Shaped

from fdl.arrays import Array, Number
from fdl.losses.common import EPSILON, matched
from fdl.ranges import require_number

Outputs = Float[Array, "*outputs"]
Axes = int | Sequence[int] | None


def dice(
    outputs: Outputs, targets: Shaped[Array, "*targets"], *, axis: Axes = None
) -> Float[Array, "*kept"]:
    """Return `1 - 2 sum(targets outputs) / (sum(targets) + sum(outputs))`.

    The Dice loss (Milletari et al., 2016, arXiv:1606.04797), Keras' function of this
    name. As in Keras, the default is one number for the whole batch; for one number per
    example, pass all axes after the first.

    Args:
        outputs: Probabilities.
        targets: 0 or 1, or probabilities.
        axis: Axes to sum over; None for all.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> mask, guess = jnp.array([[1, 1, 0], [0, 0, 1]]), jnp.full((2, 3), 0.5)
        >>> dice(guess, mask)
        Array(0.5, dtype=float32)
        >>> [round(float(loss), 2) for loss in dice(guess, mask, axis=1)]
        [0.43, 0.6]
    """
    outputs, targets = matched(outputs, targets)
    axis = _axes(axis)
    both = jnp.sum(outputs * targets, axis=axis)
    each = jnp.sum(targets, axis=axis) + jnp.sum(outputs, axis=axis)
    return 1 - 2 * both / (each + EPSILON)


def tversky(
    outputs: Outputs,
    targets: Shaped[Array, "*targets"],
    *,
    alpha: Number = 0.5,
    beta: Number = 0.5,
    axis: Axes = None,
) -> Float[Array, "*kept"]:
    """Return `1 - tp / (tp + alpha fn + beta fp)`, summed over probabilities.

    The Tversky loss (Salehi et al., 2017, arXiv:1706.05721), Keras' function of this
    name. `alpha` weights false negatives, as in Keras' code but not its documentation.
    With both weights 1/2, it is the Dice loss.

    Args:
        outputs: Probabilities.
        targets: 0 or 1, or probabilities.
        alpha: Weight of false negatives, at least 0.
        beta: Weight of false positives, at least 0.
        axis: As in `dice`.

    Raises:
        ValueError: If the shapes differ, or a weight is out of range.

    Example:
        >>> mask = jnp.array([1, 1, 0, 0])
        >>> missed, wrong = jnp.array([1.0, 0, 0, 0]), jnp.array([1.0, 1, 1, 0])
        >>> [round(float(tversky(y, mask, alpha=0.9)), 2) for y in (missed, wrong)]
        [0.47, 0.2]
    """
    require_number("[0, inf)", alpha=alpha, beta=beta)
    outputs, targets = matched(outputs, targets)
    axis = _axes(axis)
    found = jnp.sum(outputs * targets, axis=axis)
    missed = jnp.sum((1 - outputs) * targets, axis=axis)
    wrong = jnp.sum(outputs * (1 - targets), axis=axis)
    return 1 - found / (found + alpha * missed + beta * wrong + EPSILON)


def _axes(axis: Axes) -> int | tuple[int, ...] | None:
    return tuple(axis) if isinstance(axis, Sequence) else axis

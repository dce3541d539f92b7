"""Metrics of binary and multi-label classifiers: each answer is yes or no.

A target above 1/2 means yes. Outputs are logits unless `from_logits=False`; Keras'
metrics of the same names expect probabilities. Outputs and targets have the same shape,
`(N,)` or `(*batch, answers)`; weights are per example or per answer.
"""

from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Bool, Float, Shaped

from fdl.arguments import require_same_shape
from fdl.arrays import Array, Number
from fdl.metrics.sums import Mean, double, mean, ratio, spread, weighted_sum
from fdl.ranges import require_number

Outputs = Float[Array, "*outputs"]
Targets = Shaped[Array, "*targets"]
Weights = Shaped[Array, "*leading"] | None
Sums = Float[Array, "*members"]
Value = Float[np.ndarray, "*members"]


class Counts(NamedTuple):
    """The entries of a binary confusion matrix, as sums of weights."""

    true_positives: Sums
    false_positives: Sums
    false_negatives: Sums
    true_negatives: Sums

    def share(self, others: ArrayLike) -> Value:
        """Return true positives divided by true positives plus `others`.

        0 / 0 is 0, as in Keras, but NaN if all weights are 0.
        """
        whole = double(self.true_positives) + double(others)
        some = sum(map(double, self)) > 0
        found = ratio(self.true_positives, whole)
        return np.where(some & (whole == 0), 0, found)


class Precision(Counts):
    """Counts for a precision."""

    __slots__ = ()

    def compute(self) -> Value:
        """Return `tp / (tp + fp)`."""
        return self.share(double(self.false_positives))


class Recall(Counts):
    """Counts for a recall."""

    __slots__ = ()

    def compute(self) -> Value:
        """Return `tp / (tp + fn)`."""
        return self.share(double(self.false_negatives))


class F1(Counts):
    """Counts for the harmonic mean of precision and recall."""

    __slots__ = ()

    def compute(self) -> Value:
        """Return `2 tp / (2 tp + fp + fn)`."""
        wrong = double(self.false_positives) + double(self.false_negatives)
        return self.share(wrong / 2)


def binary_accuracy(
    outputs: Outputs,
    targets: Targets,
    weights: Weights = None,
    *,
    threshold: Number = 0.5,
    from_logits: bool = True,
) -> Mean:
    """Return the fraction of answers that are right, with a threshold.

    Args:
        outputs: A score for each answer.
        targets: Truth of each answer; above 1/2 means yes.
        weights: Weight of each example or answer; None for equal weights.
        threshold: The probability above which the answer is yes, in [0, 1].
        from_logits: Whether outputs are logits; otherwise they are probabilities.

    Raises:
        ValueError: If the shapes differ, or `threshold` is out of range.

    Example:
        >>> float(binary_accuracy(jnp.array([2.0, -1.0]), jnp.array([1, 1])).compute())
        0.5
    """
    predicted, true = _answers(outputs, targets, threshold, from_logits)
    return mean(predicted == true, weights)


def precision(
    outputs: Outputs,
    targets: Targets,
    weights: Weights = None,
    *,
    threshold: Number = 0.5,
    from_logits: bool = True,
    per_class: bool = False,
) -> Precision:
    """Return the fraction of predicted positives that are true; 0 if there are none.

    Args:
        outputs: A score for each answer.
        targets: Truth of each answer; above 1/2 means yes.
        weights: Weight of each example or answer; None for equal weights.
        threshold: The probability above which the answer is yes, in [0, 1].
        from_logits: Whether outputs are logits; otherwise they are probabilities.
        per_class: Whether to return a value for each position of the last axis instead
            of one for all answers (the micro average).

    Raises:
        ValueError: If the shapes differ, `threshold` is out of range, or there is no
            axis of classes with `per_class`.

    Example:
        >>> float(precision(jnp.array([2.0, 1.0]), jnp.array([1, 0])).compute())
        0.5
    """
    answers = _answers(outputs, targets, threshold, from_logits)
    return _count(Precision, *answers, weights, per_class)


def recall(
    outputs: Outputs,
    targets: Targets,
    weights: Weights = None,
    *,
    threshold: Number = 0.5,
    from_logits: bool = True,
    per_class: bool = False,
) -> Recall:
    """Return the fraction of actual positives that are predicted; 0 if there are none.

    See `precision` for the arguments.

    Example:
        >>> float(recall(jnp.array([2.0, -1.0]), jnp.array([1, 1])).compute())
        0.5
    """
    answers = _answers(outputs, targets, threshold, from_logits)
    return _count(Recall, *answers, weights, per_class)


def f1_score(
    outputs: Outputs,
    targets: Targets,
    weights: Weights = None,
    *,
    threshold: Number = 0.5,
    from_logits: bool = True,
    per_class: bool = False,
) -> F1:
    """Return the harmonic mean of precision and recall (van Rijsbergen, 1979).

    See `precision` for the arguments.

    Example:
        >>> float(f1_score(jnp.array([2.0, 1.0]), jnp.array([1, 0])).compute())
        0.6666666666666666
    """
    answers = _answers(outputs, targets, threshold, from_logits)
    return _count(F1, *answers, weights, per_class)


def _answers(
    outputs: Outputs, targets: Targets, threshold: Number, from_logits: bool
) -> tuple[Bool[Array, "*outputs"], Bool[Array, "*outputs"]]:
    require_number("[0, 1]", threshold=threshold)
    require_same_shape(outputs, targets)
    p = jax.nn.sigmoid(jnp.asarray(outputs)) if from_logits else jnp.asarray(outputs)
    return p > threshold, jnp.asarray(targets) > 0.5


Kind = TypeVar("Kind", bound=Counts)


def _count(
    kind: type[Kind],
    predicted: Bool[Array, "*outputs"],
    true: Bool[Array, "*outputs"],
    weights: Weights,
    per_class: bool,
) -> Kind:
    if per_class and predicted.ndim < 2:
        raise ValueError(
            f"per_class=True needs outputs of shape (*batch, classes), not "
            f"{predicted.shape}."
        )
    each = spread(weights, predicted.shape)
    axis = range(predicted.ndim - 1) if per_class else None
    cells = predicted & true, predicted & ~true, ~predicted & true, ~predicted & ~true
    return kind(*(weighted_sum(cell, each, axis) for cell in cells))

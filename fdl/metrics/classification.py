"""Metrics of classifiers with mutually exclusive classes."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Shaped

from fdl.arguments import require_classes, require_same_shape
from fdl.arrays import Array
from fdl.metrics.sums import Mean, double, mean, ratio, spread

Outputs = Float[Array, "*batch classes"]
Targets = Shaped[Array, "*targets"]
Weights = Shaped[Array, "*leading"] | None


def accuracy(outputs: Outputs, targets: Targets, weights: Weights = None) -> Mean:
    """Return the fraction of examples whose largest output is that of their class.

    Args:
        outputs: Scores of the classes, logits or probabilities.
        targets: Integers `*batch`, the class of each example, or probabilities
            `*batch classes`, whose largest is the class.
        weights: Weight of each example; None for equal weights.

    Raises:
        ValueError: If the shapes do not agree.

    Example:
        >>> accuracy(jnp.array([[2.0, 1.0], [3.0, 0.0]]), jnp.array([0, 1]))
        Mean(total=Array(1., dtype=float32), weight=Array(2., dtype=float32))
    """
    label = _label(outputs, targets)
    return mean(jnp.argmax(outputs, axis=-1) == label, weights)


def top_k_accuracy(
    outputs: Outputs, targets: Targets, weights: Weights = None, *, k: int = 5
) -> Mean:
    """Return the fraction of examples whose class is among the `k` largest outputs.

    Classes tied for the k-th place all count, as in Keras. An example with a NaN output
    does not.

    Args:
        outputs: Scores of the classes, logits or probabilities.
        targets: As in `accuracy`.
        weights: Weight of each example; None for equal weights.
        k: Number of largest outputs, from 1 to the number of classes.

    Raises:
        ValueError: If the shapes do not agree, or `k` is out of range.

    Example:
        >>> found = top_k_accuracy(jnp.array([[2.0, 1.0, 0.0]]), jnp.array([1]), k=2)
        >>> float(found.compute())
        1.0
    """
    label = _label(outputs, targets)
    classes = outputs.shape[-1]
    if not 1 <= k <= classes:
        raise ValueError(f"k={k} must be from 1 to the number of classes, {classes}.")
    own = jax.nn.one_hot(label, classes, dtype=bool)
    score = jnp.max(outputs, axis=-1, where=own, initial=-jnp.inf, keepdims=True)
    rank = jnp.sum(outputs > score, axis=-1)
    named = (label >= 0) & (label < classes)
    ordered = ~jnp.any(jnp.isnan(outputs), axis=-1)
    return mean((rank < k) & named & ordered, weights)


class Perplexity(Mean):
    """The exponential of a mean cross entropy."""

    __slots__ = ()

    def compute(self) -> Float[np.ndarray, "*members"]:
        """Return `exp(total / weight)`."""
        return np.asarray(np.exp(super().compute()))


def perplexity(
    outputs: Outputs, targets: Targets, weights: Weights = None
) -> Perplexity:
    """Return the exponential of the mean cross entropy of tokens.

    The perplexity of a uniform guess is the size of the vocabulary.

    Args:
        outputs: Logits of the vocabulary.
        targets: The token at each position; a token outside the vocabulary gives NaN.
        weights: Weight of each token, or of each piece of text; 0 for padding.

    Raises:
        ValueError: If the shapes do not agree.

    Example:
        >>> found = perplexity(jnp.zeros((1, 4, 10)), jnp.zeros((1, 4), int))
        >>> round(float(found.compute()), 4)
        10.0
    """
    require_classes(outputs, targets)
    classes = outputs.shape[-1]
    picked = jax.nn.one_hot(targets, classes, dtype=bool)
    losses = -jnp.sum(jax.nn.log_softmax(outputs), axis=-1, where=picked)
    losses = jnp.where((targets >= 0) & (targets < classes), losses, jnp.nan)
    return Perplexity(*mean(losses, weights))


class Overlap(NamedTuple):
    """Sums for a mean intersection over union, for each class.

    Attributes:
        intersection: Weight of the examples of the class that are predicted as such.
        predicted: Weight of the examples that are predicted to be of the class.
        actual: Weight of the examples of the class.
    """

    intersection: Float[Array, "*members classes"]
    predicted: Float[Array, "*members classes"]
    actual: Float[Array, "*members classes"]

    def compute(self) -> Float[np.ndarray, "*members"]:
        """Return the mean over all classes that occur or are predicted."""
        intersection, predicted, actual = map(double, self)
        union = predicted + actual - intersection
        found = np.where(union > 0, ratio(intersection, union), 0)
        return ratio(np.sum(found, axis=-1), np.sum(union > 0, axis=-1))


def iou(outputs: Outputs, targets: Targets, weights: Weights = None) -> Overlap:
    """Return the mean over classes of intersection over union, Keras' `MeanIoU`.

    Args:
        outputs: Scores of the classes of each example or pixel.
        targets: As in `accuracy`.
        weights: Weight of each example or pixel; use 0 for those without a class.

    Raises:
        ValueError: If the shapes do not agree.

    Example:
        >>> scores = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> float(iou(scores, jnp.array([0, 1, 1])).compute())
        0.5
    """
    label = _label(outputs, targets)
    predicted = jnp.argmax(outputs, axis=-1)
    each = spread(weights, label.shape)

    def count(index: Int[Array, "*batch"], amount: Float[Array, "*batch"]) -> Array:
        none = jnp.zeros(outputs.shape[-1], jnp.float32)
        return none.at[index].add(amount, mode="drop", wrap_negative_indices=False)

    both = jnp.where(predicted == label, each, 0)
    return Overlap(count(label, both), count(predicted, each), count(label, each))


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


def _label(outputs: Outputs, targets: Targets) -> Int[Array, "*batch"]:
    """Return the class of each example, from targets of either kind."""
    if targets.shape == outputs.shape:  # probabilities, or one-hot vectors of any type
        return jnp.argmax(targets, axis=-1)
    if targets.ndim == outputs.ndim and jnp.issubdtype(targets.dtype, jnp.inexact):
        require_same_shape(outputs, targets)
    require_classes(outputs, targets)
    return jnp.asarray(targets)

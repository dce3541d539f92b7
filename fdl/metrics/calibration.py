"""Calibration of predicted probabilities, for one model and for ensembles."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

Probabilities = Float[np.ndarray, "examples classes"]
Labels = Int[np.ndarray, " examples"]


class Reliability(NamedTuple):
    """Predictions by confidence, in bins of equal width.

    Attributes:
        size: Number of predictions in each bin.
        confidence: Their mean confidence, the probability of the predicted class; NaN
            in an empty bin.
        accuracy: Fraction of them that are right; NaN in an empty bin.
    """

    size: Int[np.ndarray, " bins"]
    confidence: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]


class EnsembleQuality(NamedTuple):
    """Quality of the predictions of ensembles of one size.

    Attributes:
        members: Number of members in an ensemble.
        accuracy: Fraction of right predictions.
        negative_log_likelihood: Mean over examples, in nats.
        calibration_error: See `calibration_error`.
    """

    members: int
    accuracy: float
    negative_log_likelihood: float
    calibration_error: float


def reliability(
    probabilities: Probabilities, label: Labels, *, bins: int = 15
) -> Reliability:
    """Sort predictions into bins of confidence (DeGroot & Fienberg, 1983).

    Args:
        probabilities: Probability of each class, summing to 1.
        label: The true class of each example.
        bins: Number of bins of equal width from 0 to 1, at least 1.

    Raises:
        ValueError: If `bins` is below 1.

    Example:
        >>> probabilities = np.array([[0.9, 0.1], [0.6, 0.4]])
        >>> found = reliability(probabilities, np.array([0, 1]), bins=2)
        >>> found.size, float(found.accuracy[1])
        (array([0, 2]), 0.5)
    """
    if bins < 1:
        raise ValueError(f"bins={bins} must be at least 1.")
    confidence = np.max(probabilities, axis=-1).astype(np.float64)
    right = np.argmax(probabilities, axis=-1) == label
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        sums = (np.bincount(place, weight, bins) for weight in (confidence, right))
        means = [total / count for total in sums]
    return Reliability(count, *means)


def calibration_error(found: Reliability) -> float:
    """Return the expected calibration error, ECE (Guo et al., 2017, arXiv:1706.04599).

    The gap between confidence and accuracy in each bin, averaged over bins and weighted
    by their numbers of predictions.

    Example:
        >>> found = reliability(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]))
        >>> round(calibration_error(found), 3)
        0.35
    """
    full = found.size > 0
    gaps = np.abs(found.accuracy - found.confidence)[full]
    return float(np.average(gaps, weights=found.size[full]))


def negative_log_likelihood(probabilities: Probabilities, label: Labels) -> float:
    """Return the mean of `-log p(label)`, in nats.

    Example:
        >>> round(negative_log_likelihood(np.array([[0.5, 0.5]]), np.array([1])), 4)
        0.6931
    """
    of_label = np.take_along_axis(probabilities, label[:, None], axis=-1)
    smallest = np.finfo(probabilities.dtype).tiny
    return float(-np.mean(np.log(np.maximum(of_label, smallest), dtype=np.float64)))


def ensemble_quality(
    probabilities: Float[np.ndarray, "members examples classes"], label: Labels
) -> list[EnsembleQuality]:
    """Measure ensembles of 1, 2, 4, ... members, which predict their members' mean.

    Each size is averaged over as many disjoint ensembles as possible; the ensemble of
    all members comes last (Lakshminarayanan et al., 2017, arXiv:1612.01474).

    Args:
        probabilities: Predictions of each member.
        label: The true class of each example.

    Example:
        >>> each = np.array([[[0.9, 0.1]], [[0.4, 0.6]], [[0.8, 0.2]]])
        >>> found = ensemble_quality(each, np.array([0]))
        >>> [(one.members, round(one.accuracy, 2)) for one in found]
        [(1, 0.67), (2, 1.0), (3, 1.0)]
    """
    count = len(probabilities)
    sizes = [2**i for i in range(count.bit_length()) if 2**i < count] + [count]
    found = []
    for size in sizes:
        groups = range(0, count - size + 1, size)
        means = [probabilities[i : i + size].mean(axis=0) for i in groups]
        measured = [
            (
                np.mean(mean.argmax(axis=-1) == label),
                negative_log_likelihood(mean, label),
                calibration_error(reliability(mean, label)),
            )
            for mean in means
        ]
        found.append(EnsembleQuality(size, *map(float, np.mean(measured, axis=0))))
    return found

"""Calibration, likelihood and ensembles of predicted probabilities."""

import numpy as np
import pytest

from fdl.losses import cross_entropy
from fdl.metrics import (
    calibration_error,
    ensemble_quality,
    negative_log_likelihood,
    reliability,
)


def draw(n=20000, seed=0):
    """Draw perfectly calibrated predictions of two classes."""
    rng = np.random.default_rng(seed)
    first = rng.random(n)
    label = (rng.random(n) >= first).astype(int)
    return np.stack([first, 1 - first], axis=1), label


def test_overconfident_probabilities_are_not_calibrated() -> None:
    probabilities, label = draw()
    assert calibration_error(reliability(probabilities, label)) < 0.015
    overconfident = probabilities**4 / (probabilities**4).sum(axis=1, keepdims=True)
    assert calibration_error(reliability(overconfident, label)) > 0.1


def test_bins_include_their_upper_edge() -> None:
    probabilities = np.array([[0.5, 0.5], [0.6, 0.4], [0.2, 0.8], [0.0, 1.0]])
    found = reliability(probabilities, np.array([0, 1, 1, 1]), bins=10)
    np.testing.assert_array_equal(found.size, [0, 0, 0, 0, 1, 1, 0, 1, 0, 1])
    assert found.confidence[5] == pytest.approx(0.6)
    np.testing.assert_array_equal(found.accuracy[[4, 5, 7, 9]], [1, 0, 1, 1])
    assert np.isnan(found.accuracy[0])
    assert found.size.sum() == 4


def test_negative_log_likelihood_is_the_mean_cross_entropy() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(50, 4)).astype(np.float32)
    label = rng.integers(4, size=50).astype(np.int32)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = float(np.mean(cross_entropy(logits, label)))
    assert negative_log_likelihood(p, label) == pytest.approx(expected, rel=1e-5)
    assert np.isfinite(negative_log_likelihood(np.array([[0.0, 1.0]]), np.array([0])))


def test_larger_ensembles_of_independent_members_are_better() -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(3, size=2000)
    scores = rng.normal(size=(8, 2000, 3)) + np.eye(3)[label]
    p = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    found = ensemble_quality(p, label)
    assert [one.members for one in found] == [1, 2, 4, 8]
    accuracies = [one.accuracy for one in found]
    assert accuracies == sorted(accuracies)
    likelihoods = [one.negative_log_likelihood for one in found]
    assert likelihoods == sorted(likelihoods, reverse=True)
    assert accuracies[0] == pytest.approx(np.mean(p.argmax(-1) == label))
    assert accuracies[-1] == np.mean(p.mean(0).argmax(-1) == label)


def test_zero_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="bins=0"):
        reliability(*draw(4), bins=0)


def test_calibration_error_weights_bins_by_their_size() -> None:
    # Nine predictions of 0.9 that are all right, and one of 0.6 that is wrong.
    confidence = np.array([0.9] * 9 + [0.6])
    probabilities = np.stack([confidence, 1 - confidence], axis=1)
    found = reliability(probabilities, np.array([0] * 9 + [1]), bins=10)
    assert calibration_error(found) == pytest.approx(0.9 * 0.1 + 0.1 * 0.6)

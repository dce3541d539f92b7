"""Sums and weights of metrics, edge cases, and refused inputs."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import metrics

LOGITS = [
    metrics.accuracy,
    metrics.top_k_accuracy,
    metrics.perplexity,
    metrics.iou,
]
BINARY = [
    metrics.binary_accuracy,
    metrics.precision,
    metrics.recall,
    metrics.f1_score,
    metrics.auc,
]
VALUES = [
    metrics.mean_absolute_error,
    metrics.mean_squared_error,
    metrics.root_mean_squared_error,
    metrics.r2_score,
]


def test_the_weight_of_an_example_applies_to_all_its_tokens() -> None:
    values = jnp.arange(6.0).reshape(2, 3)
    found = metrics.mean(values, jnp.array([3, 1]))
    assert found.weight == 12
    assert found.compute() == pytest.approx((3 * 3 + 12) / 12)
    each = metrics.mean(values, jnp.array([[0, 0, 1], [0, 1, 0]]))
    assert each.compute() == 3


def test_values_of_weight_zero_do_not_count_even_if_they_are_nan() -> None:
    values = np.float32([[1.0, np.nan], [np.inf, np.nan]])
    mask = np.array([[True, False], [False, False]])
    total = lambda x: metrics.mean(x, mask).total
    found, gradient = jax.jit(jax.value_and_grad(total))(values)
    assert found == 1
    np.testing.assert_array_equal(gradient, [[1, 0], [0, 0]])


def test_weights_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"weights \(3,\).*\(2, 3\)"):
        metrics.mean(jnp.zeros((2, 3)), jnp.ones(3))
    with pytest.raises(ValueError, match=r"weights \(2, 1\)"):
        metrics.accuracy(jnp.zeros((2, 3)), jnp.zeros(2, int), jnp.ones((2, 1)))


@pytest.mark.parametrize("metric", LOGITS + BINARY + VALUES)
def test_a_total_weight_of_zero_gives_nan_without_a_warning(metric) -> None:
    zeros = np.zeros((4, 6), np.float32)
    targets = np.zeros(4, int) if metric in LOGITS else zeros
    found = jax.jit(metric)(zeros, targets, zeros[:, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(metrics.compute({"it": found})["it"])


@pytest.mark.parametrize("metric", LOGITS + BINARY + VALUES)
def test_examples_of_weight_zero_may_be_nan_or_infinite(metric) -> None:
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(8, 6)).astype(np.float32)
    targets = rng.integers(6, size=8) if metric in LOGITS else outputs > 0.3
    weights = np.float32([1.0, 1, 0, 1, 1, 0, 1, 1])
    measure = jax.jit(metric)
    wanted = measure(outputs.copy(), targets, weights).compute()
    outputs[2], outputs[5] = np.nan, np.inf
    found = measure(outputs, targets, weights).compute()
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("metric", BINARY + VALUES)
def test_mismatched_shapes_are_refused(metric) -> None:
    with pytest.raises(ValueError, match=r"\(8,\).*\(8, 1\).*targets\[:, 0\]"):
        metric(jnp.zeros(8), jnp.zeros((8, 1)))


@pytest.mark.parametrize("metric", LOGITS)
def test_labels_of_the_wrong_shape_or_dtype_are_refused(metric) -> None:
    with pytest.raises(ValueError, match=r"targets\[..., 0\]"):
        metric(jnp.zeros((8, 6)), jnp.zeros((8, 1), int))
    with pytest.raises(ValueError, match="float32"):
        metric(jnp.zeros((8, 6)), jnp.zeros(8))


@pytest.mark.parametrize("metric", BINARY + VALUES)
def test_one_value_per_example_equals_a_column(metric) -> None:
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=20).astype(np.float32)
    targets = rng.integers(2, size=20).astype(np.float32)
    measure = jax.jit(metric)
    wanted = measure(outputs[:, None], targets[:, None]).compute()
    np.testing.assert_allclose(measure(outputs, targets).compute(), wanted, rtol=1e-6)


def test_precision_without_positive_predictions_is_zero() -> None:
    outputs, targets = -jnp.ones(3), jnp.array([1, 0, 1])
    assert metrics.precision(outputs, targets).compute() == 0
    assert metrics.recall(outputs, targets).compute() == 0
    assert metrics.f1_score(outputs, targets).compute() == 0
    assert metrics.recall(outputs, jnp.zeros(3)).compute() == 0


def test_per_class_values_are_arrays() -> None:
    outputs = jnp.array([[1.0, -1.0], [1.0, 1.0]])
    targets = jnp.array([[1, 0], [0, 1]])
    found = metrics.compute({"it": metrics.precision(outputs, targets, per_class=True)})
    np.testing.assert_array_equal(found["it"], [0.5, 1.0])
    with pytest.raises(ValueError, match="per_class"):
        metrics.recall(jnp.zeros(3), jnp.zeros(3), per_class=True)


def test_auc_of_a_single_class_is_nan() -> None:
    assert np.isnan(metrics.auc(jnp.arange(3.0), jnp.ones(3)).compute())
    with pytest.raises(ValueError, match="num_thresholds=1"):
        metrics.auc(jnp.zeros(2), jnp.zeros(2), num_thresholds=1)


def test_ties_at_rank_k_count_and_nan_does_not() -> None:
    outputs = jnp.array([[1.0, 1.0, 0.0], [0.0, 1.0, 2.0], [jnp.nan, 1.0, 0.0]])
    targets = jnp.array([1, 0, 1])
    found = metrics.top_k_accuracy(outputs, targets, k=1)
    assert (found.total, found.weight) == (1, 3)
    assert metrics.top_k_accuracy(outputs, targets, k=2).total == 1
    assert metrics.top_k_accuracy(outputs, jnp.array([-1, 3, 9]), k=3).total == 0
    with pytest.raises(ValueError, match=r"k=5.*classes, 3"):
        metrics.top_k_accuracy(outputs, targets)


def test_a_token_outside_the_vocabulary_gives_nan_unless_masked() -> None:
    logits = jnp.zeros((1, 2, 4))
    assert np.isnan(metrics.perplexity(logits, jnp.array([[0, -100]])).compute())
    masked = metrics.perplexity(logits, jnp.array([[0, -100]]), jnp.array([[1, 0]]))
    assert masked.compute() == pytest.approx(4)


def test_iou_ignores_absent_classes() -> None:
    scores = jnp.eye(5)[jnp.array([0, 0, 1])]
    assert metrics.iou(scores, jnp.array([0, 1, 1])).compute() == pytest.approx(0.5)
    void = metrics.iou(scores, jnp.array([0, 255, -1]))
    np.testing.assert_array_equal(void.actual, [1, 0, 0, 0, 0])


def test_r2_of_constant_targets_is_zero() -> None:
    assert metrics.r2_score(jnp.array([1.0, 3.0]), jnp.array([2.0, 2.0])).compute() == 0

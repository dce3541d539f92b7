"""Losses and metrics compared with closed forms in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import losses, metrics


def test_cross_entropy_is_minus_log_softmax() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=5, size=(4, 3, 7))
    label = rng.integers(0, 7, (4, 3))
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    wanted = -np.log(np.take_along_axis(p, label[..., None], -1)[..., 0])
    found = losses.cross_entropy(jnp.asarray(logits), jnp.asarray(label))
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_cross_entropy_is_exact_for_huge_and_infinite_logits() -> None:
    logits = jnp.array([[1e4, -1e4, 0.0], [0.0, -jnp.inf, 0.0]])
    found = losses.cross_entropy(logits, jnp.array([0, 2]))
    np.testing.assert_allclose(found, [0, np.log(2)], atol=1e-6)


@pytest.mark.parametrize("label", [-1, 3, 100])
def test_cross_entropy_of_an_invalid_label_is_nan(label) -> None:
    assert np.isnan(losses.cross_entropy(jnp.zeros((1, 3)), jnp.array([label]))).all()


def test_cross_entropy_gradient_is_probability_minus_one_hot() -> None:
    logits = jnp.array([[1.0, 2.0, 0.5]])
    grad = jax.grad(lambda x: losses.cross_entropy(x, jnp.array([1])).sum())(logits)
    wanted = jax.nn.softmax(logits) - jnp.array([[0.0, 1.0, 0.0]])
    np.testing.assert_allclose(grad, wanted, atol=1e-6)


def test_metrics_of_parts_add_up_to_the_whole() -> None:
    rng = np.random.default_rng(0)
    logits = jnp.asarray(rng.normal(size=(10, 3)), jnp.float32)
    label = jnp.asarray(rng.integers(0, 3, 10))
    whole = {"accuracy": metrics.accuracy(logits, label)}
    parts = [
        {"accuracy": metrics.accuracy(logits[part], label[part])}
        for part in (slice(0, 7), slice(7, 10))
    ]
    assert metrics.compute(metrics.add(*parts)) == metrics.compute(whole)


def test_confusion_matrix_counts_every_example() -> None:
    rng = np.random.default_rng(0)
    label, predicted = rng.integers(0, 4, (2, 100))
    counts = metrics.confusion_matrix(label, predicted, 5)
    assert counts.shape == (5, 5)
    for true in range(5):
        for guess in range(5):
            found = ((label == true) & (predicted == guess)).sum()
            assert counts[true, guess] == found

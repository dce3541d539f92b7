"""Metrics of generative models, on samples whose values are known."""

import numpy as np
import pytest

from fdl import metrics


def normal(seed, count, mean, root):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, len(mean))) @ root.T + np.asarray(mean)[None]


def with_moments(x, mean, root):
    """Transform `x` to have exactly this mean and the covariance `root @ root.T`."""
    x = x - x.mean(axis=0, keepdims=True)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T
    return x @ root.T + np.asarray(mean)[None]


def test_frechet_distance_of_diagonal_gaussians_is_known() -> None:
    rng = np.random.default_rng(0)
    a = with_moments(rng.normal(size=(50, 3)), [0, 0, 0], np.diag([1.0, 2.0, 3.0]))
    b = with_moments(rng.normal(size=(70, 3)), [1, 0, 2], np.diag([2.0, 2.0, 0.5]))
    wanted = (1 + 4) + (1 - 2) ** 2 + 0 + (3 - 0.5) ** 2
    assert metrics.frechet_distance(a, b) == pytest.approx(wanted, rel=1e-10)
    assert metrics.frechet_distance(b, a) == pytest.approx(wanted, rel=1e-10)


def test_frechet_distance_of_covariances_that_do_not_commute() -> None:
    rng = np.random.default_rng(1)
    roots = rng.normal(size=(2, 4, 4))
    a, b = (with_moments(rng.normal(size=(60, 4)), [0] * 4, root) for root in roots)
    one, other = (root @ root.T for root in roots)
    # The eigenvalues of a product of covariances are real and nonnegative.
    cross = np.sqrt(np.linalg.eigvals(one @ other).real).sum()
    wanted = np.trace(one) + np.trace(other) - 2 * cross
    assert metrics.frechet_distance(a, b) == pytest.approx(wanted, rel=1e-8)


def test_frechet_distance_accepts_constant_features() -> None:
    x = np.random.default_rng(0).normal(size=(40, 3)) * [[1.0, 0.0, 2.0]]
    assert metrics.frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_extrapolation_removes_the_bias_of_small_samples() -> None:
    mean, root = np.zeros(8), np.eye(8)
    real, generated = normal(0, 20000, mean, root), normal(1, 2000, mean, root)
    plain = metrics.frechet_distance(real, generated[:200])
    found = metrics.frechet_infinity(real, generated, smallest=200)
    assert found.slope > 0
    assert abs(found.limit) < 0.02 < plain


def test_precision_measures_fidelity_and_recall_diversity() -> None:
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 200, 2)) + np.array([[[-50.0]], [[50.0]]])
    both = np.concatenate([left, right])
    # All generated examples look real, but half of the real ones are never generated.
    found = metrics.precision_recall(both, left + 1e-9)
    assert found.precision == 1
    assert found.recall == pytest.approx(0.5, abs=0.02)
    found = metrics.precision_recall(left, both + 1e-9)
    assert found.precision == pytest.approx(0.5, abs=0.02)
    assert found.recall == 1


def test_precision_and_recall_by_hand() -> None:
    real = np.array([[0.0], [1.0], [3.0], [10.0]])  # radii for k=1: 1, 1, 2, 7
    generated = np.array([[-0.9], [5.5], [18.0], [2.5]])
    found = metrics.precision_recall(real, generated, neighbors=1)
    assert found.precision == 3 / 4  # only 18 is outside every ball
    assert found.recall == 4 / 4


def test_class_balance_counts_missing_classes() -> None:
    real = np.arange(1000) % 10
    found = metrics.class_balance(real, real[real < 8], 10)
    assert found.classes == 8
    assert found.entropy == pytest.approx(np.log(8))
    assert found.variation == pytest.approx(0.2)
    assert metrics.class_balance(real, real, 10) == (10, pytest.approx(np.log(10)), 0)


def test_memorization_is_0_for_copies_and_1_for_new_examples() -> None:
    x = np.random.default_rng(0).random((900, 20))
    train, test, new = np.split(x, 3)
    assert metrics.memorization(train, test, train[::2]) == 0
    assert metrics.memorization(train, test, new) == pytest.approx(1, abs=0.1)
    assert metrics.memorization(train, test, new + 5) > 5


def test_memorization_is_robust_to_outliers() -> None:
    train = np.zeros((1, 1))
    test = np.array([[1.0], [2.0], [90.0]])
    generated = np.array([[0.5], [1.0], [400.0]])
    assert metrics.memorization(train, test, generated) == 0.5


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        (lambda x: metrics.frechet_distance(x, x[:1]), "at least two"),
        (lambda x: metrics.precision_recall(x, x, neighbors=9), "neighbors=9"),
        (lambda x: metrics.frechet_infinity(x, x), "smallest=1000"),
    ],
)
def test_too_few_examples_are_refused(measure, message) -> None:
    with pytest.raises(ValueError, match=message):
        measure(np.random.default_rng(0).random((5, 2)))


def test_neighbors_do_not_depend_on_the_origin() -> None:
    rng = np.random.default_rng(0)
    real = rng.normal(size=(300, 16)).astype(np.float32)
    generated = rng.normal(0.3, 0.9, size=(300, 16)).astype(np.float32)
    for shift in (0, 1e3, -1e5):
        far = [x + np.float32(shift) for x in (real, generated)]
        exact = [x.astype(np.float64) - shift for x in far]
        assert metrics.precision_recall(*far) == metrics.precision_recall(*exact)
        np.testing.assert_allclose(
            metrics.nearest_distance(far[0], far[1]),
            metrics.nearest_distance(exact[0], exact[1]),
            rtol=1e-6,
        )

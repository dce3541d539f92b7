"""Distances between the distributions of generated and real examples.

These are computed with NumPy, in double precision, once after training.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

Features = Float[np.ndarray, "examples features"]


def frechet_distance(
    real: Features, generated: Float[np.ndarray, "others features"]
) -> float:
    """Return the Fréchet distance of two samples (Heusel et al., 2017).

    arXiv:1706.08500. `|m_1 - m_2|^2 + Tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2))`, with means
    `m` and covariances `C` of features: the squared Wasserstein distance between two
    normal distributions. The paper and published results use Inception's features;
    results from other features are not comparable.

    The distance has an upward bias that is inversely proportional to the size of the
    samples (Chong & Forsyth, 2020), so compare only results from samples of the same
    size. `frechet_infinity` removes this bias.

    Args:
        real: Features of real examples, at least two.
        generated: Features of generated examples, at least two.

    Returns:
        The distance, 0 or more, in squared units of the features.

    Raises:
        ValueError: If a sample has fewer than two examples.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> a = rng.normal(size=(500, 3))
        >>> round(frechet_distance(a, a + np.array([[3.0, 4.0, 0.0]])), 6)
        25.0
    """
    if min(len(real), len(generated)) < 2:
        raise ValueError(
            f"{len(real)} real and {len(generated)} generated examples are too few: a "
            "covariance needs at least two of each."
        )
    real, generated = real.astype(np.float64), generated.astype(np.float64)
    means = real.mean(axis=0), generated.mean(axis=0)
    one, other = _covariance(real), _covariance(generated)
    # (C_1 C_2)^(1/2) has the same trace as (C_1^(1/2) C_2 C_1^(1/2))^(1/2), which is
    # symmetric, so that its eigenvalues are real and accurate.
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ other @ root)
    cross = np.sqrt(np.clip(inner, 0, None)).sum()
    distance = np.sum((means[0] - means[1]) ** 2)
    distance += np.trace(one) + np.trace(other) - 2 * cross
    return max(0.0, float(distance))


def _covariance(x: Features) -> Float[np.ndarray, "features features"]:
    centered = x - x.mean(axis=0, keepdims=True)
    return centered.T @ centered / (len(x) - 1)


class Extrapolated(NamedTuple):
    """Distance as a linear function of one over the number of examples.

    Attributes:
        limit: Distance for infinitely many examples.
        slope: Excess of the distance over the limit, times the number of examples.
    """

    limit: float
    slope: float


def frechet_infinity(
    real: Features,
    generated: Float[np.ndarray, "others features"],
    *,
    points: int = 15,
    smallest: int = 1000,
    seed: int = 0,
) -> Extrapolated:
    """Return the Fréchet distance for infinitely many generated examples.

    FID-infinity (Chong & Forsyth, 2020, arXiv:1911.07023): the distances of random
    subsets of different sizes, extrapolated linearly in one over the size. Differs from
    the paper in using ordinary random latents. Only the bias from the number of
    generated examples is removed, not that from the number of real ones.

    Args:
        real: Features of real examples.
        generated: Features of generated examples, more than `smallest`.
        points: Number of subsets, at least 2.
        smallest: Size of the smallest subset, at least 2.
        seed: Random seed of the subsets.

    Raises:
        ValueError: If there are not enough examples.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> a, b = rng.normal(size=(5000, 4)), rng.normal(size=(5000, 4))
        >>> abs(frechet_infinity(a, b, smallest=100).limit) < 0.005
        True
    """
    total = len(generated)
    if not 2 <= smallest < total or points < 2:
        raise ValueError(
            f"smallest={smallest} must be at least 2 and below the number of generated "
            f"examples, {total}, and points={points} must be at least 2."
        )
    rng = np.random.default_rng(seed)
    sizes = np.linspace(smallest, total, points).astype(int)
    distances = [
        frechet_distance(real, generated[rng.choice(total, size, replace=False)])
        for size in sizes
    ]
    slope, limit = np.polyfit(1 / sizes, distances, 1)
    return Extrapolated(float(limit), float(slope))


class ClassBalance(NamedTuple):
    """Distribution of generated examples over classes.

    Attributes:
        classes: Number of classes with at least a tenth of an equal share.
        entropy: Entropy of the fractions, in nats; `log(classes)` if they are equal.
        variation: Total variation distance from the real fractions, from 0 to 1.
    """

    classes: int
    entropy: float
    variation: float


def class_balance(
    real: Int[np.ndarray, " examples"],
    generated: Int[np.ndarray, " others"],
    num_classes: int,
) -> ClassBalance:
    """Measure how many classes a generator covers, and how evenly.

    Args:
        real: Classes of real examples.
        generated: Classes of generated examples, as predicted by a classifier.
        num_classes: Number of classes.

    Example:
        >>> real, made = np.array([0, 1, 2, 3]), np.array([0, 0, 1, 1])
        >>> class_balance(real, made, 4)
        ClassBalance(classes=2, entropy=0.6931471805599453, variation=0.5)
    """
    p, q = (
        np.bincount(label, minlength=num_classes) / len(label)
        for label in (real, generated)
    )
    some = q[q > 0]
    return ClassBalance(
        classes=int(np.sum(q >= 0.1 / num_classes)),
        entropy=float(-np.sum(some * np.log(some))),
        variation=float(np.abs(p - q).sum() / 2),
    )

"""Nearest-neighbor metrics of generated examples against real ones."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Real

Points = Float[np.ndarray, "examples features"]
Others = Float[np.ndarray, "others features"]
Table = Real[np.ndarray, "_ features"]

_ROWS = 1000  # per block, so that a table of distances fits into memory


class PrecisionRecall(NamedTuple):
    """Fidelity and variety, measured separately.

    Attributes:
        precision: Fraction of the generated examples that lie among the real ones.
        recall: Fraction of the real examples that lie among the generated ones.
    """

    precision: float
    recall: float


def precision_recall(
    real: Points, generated: Others, *, neighbors: int = 3
) -> PrecisionRecall:
    """Return precision and recall of a generator (Kynkäänniemi et al., 2019).

    arXiv:1904.06991. The manifold of a sample is approximated by balls around its
    examples, each reaching to the k-th nearest neighbor. Precision is the fraction of
    the generated examples that lie in the real manifold, and recall the fraction of the
    real ones that lie in the generated manifold.

    Args:
        real: Features of real examples. Compare only results for the same number of
            examples.
        generated: Features of generated examples.
        neighbors: The `k`, at least 1 and below the number of examples.

    Raises:
        ValueError: If there are not enough examples.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(50, 2))
        >>> precision_recall(x, x)
        PrecisionRecall(precision=1.0, recall=1.0)
        >>> precision_recall(x, x + 100)
        PrecisionRecall(precision=0.0, recall=0.0)
    """
    if not 1 <= neighbors < min(len(real), len(generated)):
        raise ValueError(
            f"neighbors={neighbors} must be at least 1 and below the number of "
            f"examples, here {len(real)} real and {len(generated)} generated."
        )
    return PrecisionRecall(
        precision=_inside(generated, real, neighbors),
        recall=_inside(real, generated, neighbors),
    )


def _inside(points: Points, sample: Others, neighbors: int) -> float:
    """Return the fraction of points that lie in the manifold of a sample."""
    # The nearest example to each is itself, so its k-th nearest neighbor has index k.
    reach = np.concatenate(
        [
            np.partition(part, neighbors, axis=1)[:, neighbors]
            for part in _squares(sample, sample)
        ]
    )
    inside = [np.any(part <= reach[None], axis=1) for part in _squares(points, sample)]
    return float(np.concatenate(inside).mean())


def nearest_distance(
    points: Real[np.ndarray, "examples features"],
    references: Real[np.ndarray, "others features"],
) -> Float[np.ndarray, " examples"]:
    """Return the Euclidean distance of each point to the nearest reference.

    Example:
        >>> nearest_distance(np.array([[0.0], [4.0]]), np.array([[1.0], [9.0]]))
        array([1., 3.])
    """
    nearest = [part.argmin(axis=1) for part in _squares(points, references)]
    # Recomputed from differences, so that an exact copy has the distance 0.
    differences = points.astype(np.float64) - references[np.concatenate(nearest)]
    return np.linalg.norm(differences, axis=1)


def memorization(
    train: Real[np.ndarray, "references features"],
    test: Real[np.ndarray, "others features"],
    generated: Real[np.ndarray, "examples features"],
) -> float:
    """Return the distance of generated examples to the training set, relative to test.

    The median distance from a generated example to the nearest training example,
    divided by the same median for test examples, which cannot have been memorized
    (after Meehan et al., 2020, arXiv:2004.05675). It is near 0 for copies and near 1
    for new examples from the same distribution. Overly simple examples also give less
    than 1, and noise gives more.

    Args:
        train: Pixels or features of the training examples.
        test: Pixels or features of examples that the generator has not seen.
        generated: Pixels or features of generated examples.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(300, 5))
        >>> memorization(x[:200], x[200:], x[:100])
        0.0
    """
    made, unseen = (
        np.median(nearest_distance(points, train)) for points in (generated, test)
    )
    return float(made / unseen)


def _squares(points: Table, references: Table) -> Iterator[Float[np.ndarray, "_ _"]]:
    """Yield squared distances, `(rows, others)`, for a block of rows at a time."""
    # In double precision, since large squares far from the origin cancel.
    center = references.mean(axis=0, dtype=np.float64)
    points, references = points - center, references - center
    norms = np.sum(references**2, axis=1)[None]
    for first in range(0, len(points), _ROWS):
        rows = points[first : first + _ROWS]
        own = np.sum(rows**2, axis=1)[:, None]
        yield np.maximum(own + norms - 2 * rows @ references.T, 0)

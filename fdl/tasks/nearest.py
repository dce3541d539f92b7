"""The baseline for pairs: the answer to the most similar training source."""

import numpy as np
from jaxtyping import Int
from scipy import sparse

_ROWS = 256  # asked sequences at a time


def nearest_rows(
    known: Int[np.ndarray, "known time"], asked: Int[np.ndarray, "asked asked_time"]
) -> Int[np.ndarray, " asked"]:
    """Return the known sequence most similar to each asked one (Salton et al., 1975).

    Similarity is the cosine of bigram counts, including the borders, weighted by
    inverse document frequency in the known sequences. Ties go to the first.

    Args:
        known: Tokens of sequences, padded with 0 at the end.
        asked: The same.

    Returns:
        Indices of known sequences.

    Example:
        >>> known = np.array([[4, 5, 6], [7, 8, 0]])
        >>> nearest_rows(known, np.array([[9, 7, 8], [5, 6, 0]]))
        array([1, 0])
    """
    pairs = _neighbors(known)
    features = np.unique(pairs[pairs > 0])
    counts = _counts(pairs, features)
    frequency = np.bincount(counts.indices, minlength=len(features))
    weight = np.log((1 + len(known)) / (1 + frequency)).astype(np.float32)
    index = _unit(counts, weight).T.tocsr()
    rows = _unit(_counts(_neighbors(asked), features), weight)
    return np.concatenate(
        [
            np.asarray((rows[first : first + _ROWS] @ index).argmax(axis=1)).ravel()
            for first in range(0, len(asked), _ROWS)
        ]
    )


def _neighbors(tokens: np.ndarray) -> Int[np.ndarray, "rows pairs"]:
    """Return each bigram as one number, 0 for two paddings."""
    bordered = np.pad(tokens.astype(np.int64), ((0, 0), (1, 1)))
    return bordered[:, :-1] * 2**31 + bordered[:, 1:]


def _counts(pairs: np.ndarray, features: np.ndarray) -> sparse.csr_array:
    """Count each feature in each row, and ignore other bigrams."""
    column = np.minimum(np.searchsorted(features, pairs), len(features) - 1)
    row, place = np.nonzero(features[column] == pairs)
    found = (np.ones(len(row), np.float32), (row, column[row, place]))
    return sparse.coo_array(found, shape=(len(pairs), len(features))).tocsr()


def _unit(counts: sparse.csr_array, weight: np.ndarray) -> sparse.csr_array:
    weighted = counts.multiply(weight).tocsr()
    norm = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    return sparse.diags_array(1 / np.maximum(norm, 1e-12)) @ weighted

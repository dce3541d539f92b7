"""The baseline of pairs: what the most similar source of the training stands for."""

import numpy as np
from jaxtyping import Int
from scipy import sparse

_ROWS = 256  # of what is to be answered, at a time


def nearest_rows(
    known: Int[np.ndarray, "known time"], asked: Int[np.ndarray, "asked asked_time"]
) -> Int[np.ndarray, " asked"]:
    """Return which known sequence each asked one is most like (Salton et al., 1975).

    Sequences are compared by the cosine of their counts of pairs of neighbors, borders
    included; a pair that is in few of the known ones weighs more, by its inverse
    document frequency. Of several that are equally like, it is the first.

    Args:
        known: Tokens, padded with 0 at the end.
        asked: The same.

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
    """Return each pair of neighbors as one number, 0 for two of padding."""
    bordered = np.pad(tokens.astype(np.int64), ((0, 0), (1, 1)))
    return bordered[:, :-1] * 2**31 + bordered[:, 1:]


def _counts(pairs: np.ndarray, features: np.ndarray) -> sparse.csr_array:
    """Return how often each feature occurs in each row; others are passed over."""
    column = np.minimum(np.searchsorted(features, pairs), len(features) - 1)
    row, place = np.nonzero(features[column] == pairs)
    found = (np.ones(len(row), np.float32), (row, column[row, place]))
    return sparse.coo_array(found, shape=(len(pairs), len(features))).tocsr()


def _unit(counts: sparse.csr_array, weight: np.ndarray) -> sparse.csr_array:
    weighted = counts.multiply(weight).tocsr()
    norm = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    return sparse.diags_array(1 / np.maximum(norm, 1e-12)) @ weighted

"""Naive Bayes, the baseline that text classifiers have to beat."""

import numpy as np
from jaxtyping import Int

from fdl.arrays import Documents

Tokens = Int[np.ndarray, "texts time"]


def naive_bayes(train: Documents, test: Documents, num_classes: int) -> float:
    """Return the accuracy of naive Bayes on words and bigrams (Maron, 1961).

    Multinomial, on what occurs in a text at least once (Wang & Manning, 2012, "MNB"
    with bigrams), with add-one smoothing.

    Args:
        train: Texts to fit.
        test: Texts to measure the accuracy on.
        num_classes: Number of classes.

    Example:
        >>> token = np.array([[2, 3], [2, 4], [5, 3], [5, 4]])
        >>> train = Documents(token, np.array([0, 0, 1, 1]))
        >>> naive_bayes(train, Documents(np.array([[5, 6, 3]]), np.array([1])), 2)
        1.0
    """
    label = np.asarray(train.label)
    base = 1 + max(int(np.max(part.token)) for part in (train, test))
    text, found = _features(np.asarray(train.token), base)
    known, feature = np.unique(found, return_inverse=True)
    counts = np.ones((num_classes, len(known)))
    np.add.at(counts, (label[text], feature), 1)
    logs = np.log(counts / counts.sum(axis=1, keepdims=True))
    scores = np.log(np.bincount(label, minlength=num_classes) / len(label))
    scores = np.tile(scores, (len(test.label), 1))
    text, found = _features(np.asarray(test.token), base)
    place = np.searchsorted(known, found).clip(max=len(known) - 1)
    seen = known[place] == found
    np.add.at(scores, text[seen], logs[:, place[seen]].T)
    return float(np.mean(scores.argmax(axis=1) == np.asarray(test.label)))


def _features(token: Tokens, base: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the row and a number of each distinct word and bigram in a text.

    Example:
        >>> _features(np.array([[2, 3, 2, 0]]), 10)
        (array([0, 0, 0, 0]), array([ 2,  3, 23, 32]))
    """
    token = token.astype(np.int64)
    pairs = np.where((token[:, :-1] > 0) & (token[:, 1:] > 0), token[:, :-1], 0)
    pairs = np.where(pairs > 0, pairs * base + token[:, 1:], 0)
    every = np.concatenate([token, pairs], axis=1)
    rows, columns = np.nonzero(every)
    row, feature = np.unique(np.stack([rows, every[rows, columns]]), axis=1)
    return row, feature

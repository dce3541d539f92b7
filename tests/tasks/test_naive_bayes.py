"""Naive Bayes against its equation."""

import itertools
import math

import numpy as np

from fdl.arrays import Documents
from fdl.tasks.naive_bayes import naive_bayes


def test_predicts_the_class_with_the_largest_posterior() -> None:
    rng = np.random.default_rng(0)
    token = rng.integers(2, 6, (60, 5)) * (np.arange(5) < rng.integers(1, 6, (60, 1)))
    token[30:, 0] = 7  # a word that the first 30 rows lack
    label = rng.integers(3, size=60)
    train, test = Documents(token[:40], label[:40]), Documents(token[40:], label[40:])

    def features_of(row):
        row = [word for word in row.tolist() if word]
        return {*row, *itertools.pairwise(row)}

    by_class = [
        [features_of(row) for row in train.token[train.label == k]] for k in range(3)
    ]
    known = set().union(*itertools.chain(*by_class))
    right = 0
    for row, true in zip(test.token, test.label, strict=True):
        scores = []
        for texts in by_class:
            total = sum(map(len, texts)) + len(known)
            score = math.log(len(texts) / 40)
            for one in features_of(row) & known:
                score += math.log((1 + sum(one in text for text in texts)) / total)
            scores.append(score)
        right += int(np.argmax(scores)) == true
    assert 0 < right < 20
    assert naive_bayes(train, test, 3) == right / 20

"""Exact match and edit distance, against counts by hand and a recursive definition."""

import functools
import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from fdl import metrics


def recursive_distance(a, b):
    @functools.cache
    def distance(i, j):
        if not i or not j:
            return i + j
        substituted = distance(i - 1, j - 1) + (a[i - 1] != b[j - 1])
        return min(substituted, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(a), len(b))


def test_edit_distance_follows_its_definition():
    words = [
        "".join(letters)
        for length in range(5)
        for letters in itertools.product("ab", repeat=length)
    ]
    for a, b in itertools.product(words, words):
        assert metrics.edit_distance(a, b) == recursive_distance(a, b), (a, b)


@pytest.mark.parametrize("sequence", [tuple, list])
def test_edit_distance_takes_any_sequence(sequence):
    assert metrics.edit_distance(sequence([4, 5, 6]), sequence([5, 6, 7])) == 2


def test_alignments_have_as_many_edits_as_the_distance():
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = ("".join(rng.choice(list("abc"), rng.integers(0, 8))) for _ in "ab")
        pairs = metrics.alignment(a, b)
        assert sum(x != y for x, y in pairs) == metrics.edit_distance(a, b)
        assert "".join(x for x, _ in pairs if x) == a
        assert "".join(y for _, y in pairs if y) == b


def test_the_nearest_reference_takes_the_fewest_edits():
    # Relative to its length, the longer one would be nearer.
    assert metrics.edits(["ab"], [["abcdef", "a"]]) == metrics.Edits(0, 1, 1, 1)


def test_rates_divide_sums_over_the_nearest_references():
    found = metrics.edits(["ab", "abcdefgh"], [["xy"], ["zzzz", "abcdefgx"]])
    assert found == metrics.Edits(exact=0, edits=3, length=10, answers=2)
    assert found.error_rate == 0.3  # the mean of the ratios would be 0.5625
    assert found.exact_match == 0.0


@pytest.mark.parametrize(
    ("answers", "references", "message"),
    [
        (["a"], [], "1 answers and 0 references"),
        (["a"], [[]], "row 0"),
        (["a", "b"], [["a"], [""]], "row 1"),
    ],
)
def test_answers_need_references(answers, references, message):
    with pytest.raises(ValueError, match=message):
        metrics.edits(answers, references)


def test_an_exact_match_needs_every_real_token():
    logits = jnp.eye(5)[jnp.array([[3, 4, 2, 0], [3, 4, 2, 1], [3, 3, 2, 0]])]
    target = jnp.array([[3, 4, 2, 0], [3, 4, 2, 0], [3, 4, 2, 0]])
    assert float(metrics.exact_match(logits, target).compute()) == 1 / 3
    found = metrics.exact_match(logits, target, target != 0)
    assert (float(found.total), float(found.weight)) == (2, 3)
    # A sequence without real tokens does not count.
    none = metrics.exact_match(logits, target, jnp.zeros((3, 4)))
    assert (float(none.total), float(none.weight)) == (0, 0)
    some = metrics.exact_match(logits, target, jnp.array([2.0, 1.0, 1.0]))
    assert float(some.compute()) == 0.5

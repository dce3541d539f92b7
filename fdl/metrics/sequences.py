"""Metrics of predicted sequences: exact match, and edits."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Integer, Shaped

from fdl.arguments import require_classes
from fdl.arrays import Array
from fdl.metrics.sums import Mean, mean, spread

Words = Sequence[Hashable]
"""A sequence of hashable elements: tokens, phones, words or letters."""


def exact_match(
    outputs: Float[Array, "*batch time vocab"],
    targets: Integer[Array, "*batch time"],
    weights: Shaped[Array, "*leading"] | None = None,
) -> Mean:
    """Return the fraction of sequences in which every token is the likeliest.

    Since the model reads the true tokens before each, this is the fraction of sequences
    that greedy search finds exactly: its first mistake is at the first token that is
    not the likeliest. If a source has several right targets, each counts separately;
    see `edits`.

    Args:
        outputs: Scores of the tokens.
        targets: The token at each position.
        weights: Weight of each token, 0 for padding, or of each sequence; None for
            equal weights. A sequence has the weight of its heaviest token.

    Raises:
        ValueError: If the shapes do not agree.

    Example:
        >>> says = jnp.eye(3)[jnp.array([[2, 1, 0], [1, 1, 0]])]
        >>> target = jnp.array([[2, 1, 2], [1, 0, 0]])
        >>> found = exact_match(says, target, weights=jnp.array([[1, 1, 0], [1, 1, 1]]))
        >>> float(found.compute())
        0.5
    """
    require_classes(outputs, targets)
    each = spread(weights, targets.shape)
    right = (jnp.argmax(outputs, axis=-1) == targets) | (each == 0)
    return mean(jnp.all(right, axis=-1), jnp.max(each, axis=-1))


class Edits(NamedTuple):
    """Edits between answers and references, summed over all sources.

    Attributes:
        exact: Number of answers that equal a reference.
        edits: Insertions, deletions and substitutions that turn the answers into their
            nearest references.
        length: Total length of these references.
        answers: Number of answers.
    """

    exact: int
    edits: int
    length: int
    answers: int

    @property
    def exact_match(self) -> float:
        """Fraction of answers that equal a reference; NaN without answers."""
        return self.exact / self.answers if self.answers else float("nan")

    @property
    def error_rate(self) -> float:
        """Edits divided by the length of the references; it may be above 1."""
        return self.edits / self.length if self.length else float("nan")


def edits(answers: Sequence[Words], references: Sequence[Sequence[Words]]) -> Edits:
    """Compare each answer with the nearest of its references.

    Edits and lengths are summed before their ratio is taken, as in word and phone error
    rates; a mean of ratios would be a different number.

    Args:
        answers: One answer for each source.
        references: The right answers for each source, at least one, none of them empty.

    Raises:
        ValueError: If there are not as many references as answers, or a source has no
            reference, or an empty one.

    Example:
        >>> found = edits(["kitten", "dog"], [["sitting", "mitten"], ["dog"]])
        >>> found
        Edits(exact=1, edits=1, length=9, answers=2)
        >>> round(found.error_rate, 3)
        0.111
    """
    if len(answers) != len(references):
        raise ValueError(
            f"there are {len(answers)} answers and {len(references)} references: "
            "pass the right answers for each source."
        )
    exact, total, length = 0, 0, 0
    for row, (answer, right) in enumerate(zip(answers, references, strict=True)):
        if not right or not all(len(one) for one in right):
            raise ValueError(
                f"the references in row {row} are {right!r}: pass at least one, none "
                "of them empty."
            )
        # Among equally near references, the first.
        distance, nearest = min(
            ((edit_distance(answer, one), one) for one in right), key=lambda x: x[0]
        )
        exact, total = exact + (distance == 0), total + distance
        length += len(nearest)
    return Edits(exact, total, length, len(answers))


def edit_distance(a: Words, b: Words) -> int:
    """Return the smallest number of edits that turn `a` into `b` (Levenshtein, 1966).

    Edits are insertions, deletions and substitutions.

    Example:
        >>> edit_distance("kitten", "sitting"), edit_distance([], [1, 2])
        (3, 2)
    """
    if list(a) == list(b):
        return 0
    row = np.arange(len(b) + 1)
    steps = np.arange(len(b) + 1)
    number: dict[Hashable, int] = {}
    coded = np.array([number.setdefault(x, len(number)) for x in b], int)
    for count, x in enumerate(a, start=1):
        changed = row[:-1] + (coded != number.get(x, -1))
        best = np.concatenate([[count], np.minimum(changed, row[1:] + 1)])
        # Insertions run along the row: a running minimum, plus the number of steps.
        row = np.minimum.accumulate(best - steps) + steps
    return int(row[-1])


def alignment(a: Words, b: Words) -> list[tuple[Hashable | None, Hashable | None]]:
    """Align the elements of `a` with those of `b`, by the fewest edits.

    None marks an element of `b` that is missing in `a`, or one of `a` that is extra.

    Example:
        >>> alignment("abd", "acde")
        [('a', 'a'), ('b', 'c'), ('d', 'd'), (None, 'e')]
    """
    costs = np.zeros((len(a) + 1, len(b) + 1), int)
    costs[:, 0], costs[0] = range(len(a) + 1), range(len(b) + 1)
    for i, x in enumerate(a, start=1):
        for j, y in enumerate(b, start=1):
            changed = costs[i - 1, j - 1] + (x != y)
            costs[i, j] = min(changed, costs[i - 1, j] + 1, costs[i, j - 1] + 1)
    pairs: list[tuple[Hashable | None, Hashable | None]] = []
    i, j = len(a), len(b)
    while i or j:
        here = costs[i, j]
        if i and j and here == costs[i - 1, j - 1] + (a[i - 1] != b[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((a[i], b[j]))
        elif j and here == costs[i, j - 1] + 1:
            j -= 1
            pairs.append((None, b[j]))
        else:
            i -= 1
            pairs.append((a[i], None))
    return pairs[::-1]

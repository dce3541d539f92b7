"""Defaults that follow from the number of examples, without JAX."""

import math
from pathlib import Path

from fdl.plain import DATASETS

MANY, FEW = 60_000, 4_000
"""Training examples for which tasks say how many passes they take: all of MNIST, and
those of mnist-5k."""

_UPDATES = 8  # least number of updates in a pass


def default_epochs(passes: tuple[int, int], count: int) -> int:
    """Return how many passes over so many training examples are made by default.

    The power law through both numbers of a task, rounded, and at least 1: the fewer
    examples, the more passes.

    Args:
        passes: For 60,000 and for 4,000 examples.
        count: Number of training examples, those held out among them.

    Example:
        >>> [default_epochs((5, 20), count) for count in (60_000, 4_000, 500)]
        [5, 20, 58]
    """
    many, few = passes
    power = math.log(few / many) / math.log(MANY / FEW)
    return max(1, round(many * (MANY / count) ** power))


def default_batch_size(largest: int, count: int, validation: float | None) -> int:
    """Return how many examples make an update by default.

    The task's number, but so few that a pass has eight updates.

    Example:
        >>> default_batch_size(64, 60_000, 1 / 6), default_batch_size(64, 120, 1 / 6)
        (64, 12)
    """
    left = count * (1 - (validation or 0))
    return max(1, min(largest, int(left / _UPDATES)))


def count_examples(dataset: str, data_dir: Path | str | None) -> int:
    """Return the number of training examples of a dataset, seen at a glance.

    Raises:
        DataError: If it cannot be told, since the data are not there.
    """
    if dataset in DATASETS:
        return DATASETS[dataset]
    from fdl import data  # JAX; what has a name does without

    (status,) = data.status(dataset, data_dir=data_dir)
    if not status.train_count:
        raise data.DataError(status.where)
    return status.train_count

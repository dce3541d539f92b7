"""Defaults that depend on the number of examples, without JAX."""

import math
from pathlib import Path

from fdl.plain import DATASETS

MANY, FEW = 60_000, 4_000
"""Numbers of training examples for which tasks define their epochs: all of MNIST, and
those of mnist-5k."""

_UPDATES = 8  # fewest updates per epoch


def default_epochs(passes: tuple[int, int], count: int) -> int:
    """Return the default number of epochs for a number of training examples.

    It follows the power law through both numbers of a task, rounded and at least 1:
    fewer examples take more epochs.

    Args:
        passes: Epochs for 60,000 and for 4,000 examples.
        count: Number of training examples, including those held out.

    Example:
        >>> [default_epochs((5, 20), count) for count in (60_000, 4_000, 500)]
        [5, 20, 58]
    """
    many, few = passes
    power = math.log(few / many) / math.log(MANY / FEW)
    return max(1, round(many * (MANY / count) ** power))


def default_batch_size(largest: int, count: int, validation: float | None) -> int:
    """Return the default batch size.

    It is the task's, or less if an epoch would otherwise have fewer than eight updates.

    Example:
        >>> default_batch_size(64, 60_000, 1 / 6), default_batch_size(64, 120, 1 / 6)
        (64, 12)
    """
    left = count * (1 - (validation or 0))
    return max(1, min(largest, int(left / _UPDATES)))


def count_examples(dataset: str, data_dir: Path | str | None) -> int:
    """Return the number of training examples of a data set, without loading it.

    Raises:
        DataError: If it is unknown, since the data are missing.
    """
    if dataset in DATASETS:
        return DATASETS[dataset]
    from fdl import data  # imports JAX, which named data sets do not need

    (status,) = data.status(dataset, data_dir=data_dir)
    if not status.train_count:
        raise data.DataError(status.where)
    return status.train_count

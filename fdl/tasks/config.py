"""The settings of a run."""

import dataclasses
import math
from typing import Any

from fdl.arrays import Number, is_concrete
from fdl.data.splits import SHARE


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """A task has no settings besides those that all have."""


@dataclasses.dataclass(frozen=True)
class Config:
    """What makes a run: with the same data and versions, the same result.

    Attributes:
        task: Name of the task.
        dataset: Name of the data set.
        epochs: Passes over the training data, at least 1.
        batch_size: Examples in an update, at least 1.
        learning_rate: Highest learning rate of the schedule, above 0.
        schedule: How the learning rate changes; see `fdl.tasks.schedules`.
        seed: Source of all randomness, from 0 to 2**32 - 1.
        validation: Share of the training examples that are held out to select by, above
            0 and below 1; None to train on all of them and select nothing.
        options: Settings of this task alone, its own dataclass.

    Raises:
        ValueError: If a number is out of range.
    """

    task: str
    dataset: str
    epochs: int
    batch_size: int
    learning_rate: Number
    schedule: str
    seed: int
    validation: float | None = SHARE
    options: Any = NoOptions()

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1.")
        rate = self.learning_rate
        if is_concrete(rate) and not (math.isfinite(rate) and rate > 0):
            raise ValueError(f"learning_rate={rate} must be a number above 0.")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed={self.seed} must be from 0 to 2**32 - 1.")
        if self.validation is not None and not 0 < self.validation < 1:
            raise ValueError(
                f"validation={self.validation} must be above 0 and below 1, or None."
            )

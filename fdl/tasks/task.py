"""A task: everything about a training that has a name."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fdl.data import DatasetInfo
from fdl.learner import Learner


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

    Raises:
        ValueError: If a number is out of range.
    """

    task: str
    dataset: str
    epochs: int
    batch_size: int
    learning_rate: float
    schedule: str
    seed: int

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1.")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise ValueError(
                f"learning_rate={self.learning_rate} must be a number above 0."
            )
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed={self.seed} must be from 0 to 2**32 - 1.")


class Task(NamedTuple):
    """A model, the data that it is for, and how to train it.

    Attributes:
        name: What `fdl train` calls it.
        title: What it is, in a line.
        paper: Where it comes from.
        epochs: Data sets that it can be trained on, each with its default number of
            passes over the data; the first is the default.
        batch_size: Default number of examples in an update.
        learning_rates: Default highest learning rate of each schedule; the first
            schedule is the default.
        make_model: `info -> model` for a data set.
        learn: `(model, config, info) -> learner`: how the model is trained.
    """

    name: str
    title: str
    paper: str
    epochs: Mapping[str, int]
    batch_size: int
    learning_rates: Mapping[str, float]
    make_model: Callable[[DatasetInfo], Any]
    learn: Callable[[Any, Config, DatasetInfo], Learner]

    def make_learner(self, config: Config, info: DatasetInfo) -> Learner:
        """Return what trains the task's model on a data set."""
        return self.learn(self.make_model(info), config, info)

    def config(
        self,
        *,
        dataset: str | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        schedule: str | None = None,
        seed: int = 0,
    ) -> Config:
        """Return the settings of a run: what is given, and the defaults for the rest.

        Raises:
            ValueError: If a value is out of range, or the task does not know it.

        Example:
            >>> import fdl.tasks
            >>> fdl.tasks.find("cnn").config(seed=3).learning_rate
            0.001
        """
        dataset = next(iter(self.epochs)) if dataset is None else dataset
        if dataset not in self.epochs:
            known = ", ".join(self.epochs)
            raise ValueError(
                f"task {self.name!r} has no dataset {dataset!r}; datasets: {known}."
            )
        schedule = next(iter(self.learning_rates)) if schedule is None else schedule
        if schedule not in self.learning_rates:
            known = ", ".join(self.learning_rates)
            raise ValueError(
                f"task {self.name!r} has no schedule {schedule!r}; schedules: {known}."
            )
        rate = self.learning_rates[schedule] if learning_rate is None else learning_rate
        return Config(
            task=self.name,
            dataset=dataset,
            epochs=self.epochs[dataset] if epochs is None else epochs,
            batch_size=self.batch_size if batch_size is None else batch_size,
            learning_rate=rate,
            schedule=schedule,
            seed=seed,
        )

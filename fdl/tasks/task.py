"""A task: everything about a training that has a name."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from fdl.arrays import Key, Number, PyTree, is_concrete
from fdl.data import Dataset, DatasetInfo, example
from fdl.learner import Learner, State


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


class Trained(NamedTuple):
    """A run, in memory: what was trained how, and what has come of it.

    Attributes:
        config: Its settings.
        info: What its data were.
        model: Its model, or a named tuple of models.
        learner: How it learns.
        state: What it has learned.
    """

    config: Config
    info: DatasetInfo
    model: Any
    learner: Learner
    state: State


class Part(NamedTuple):
    """A model of a run, as it is written for Keras.

    Attributes:
        model: A Linen module.
        variables: Its variables.
        inputs: An example of what it reads, for shapes and types.
    """

    model: Any
    variables: PyTree
    inputs: tuple[np.ndarray, ...]


@dataclasses.dataclass(frozen=True)
class Sampling:
    """What is to be generated; images heed only the count.

    Attributes:
        count: Number of images or texts, at least 1.
        prompt: What a text begins with.
        length: Number of characters after the prompt, at least 1.
        temperature: What scores are divided by, at least 0; 0 always takes the best.
        top_k: Choose among the best so many only; None for all.
        top_p: Choose among the best that together have this probability, in (0, 1];
            None for all.
    """

    count: int = 1
    prompt: str = ""
    length: int = 500
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None


Images = Float[np.ndarray, "count height width channels"]


def _as_it_is(dataset: Dataset, config: Config) -> Dataset:
    return dataset


def _nothing_each_epoch(
    trained: Trained, dataset: Dataset, folder: Path, epoch: int
) -> None:
    """Draw nothing."""


def _nothing_more(trained: Trained, dataset: Dataset, folder: Path) -> dict[str, float]:
    return {}


def the_model(trained: Trained) -> dict[str, Part]:
    """Return the only model of a run, which reads floats shaped like its data."""
    variables = {"params": trained.state.params}
    if trained.state.batch_stats:
        variables["batch_stats"] = trained.state.batch_stats
    example = np.zeros((1, *trained.info.input_shape), np.float32)
    return {"model": Part(trained.model, variables, (example,))}


class Task(NamedTuple):
    """A model, the data that it is for, how to train it, and what to show of it.

    Attributes:
        name: What `fdl train` calls it.
        title: What it is, in a line.
        paper: Where it comes from.
        epochs: Data sets that it can be trained on, each with its default number of
            passes over the data; the first is the default.
        batch_size: Default number of examples in an update.
        learning_rates: Default highest learning rate of each schedule; the first
            schedule is the default.
        metric: The measure that tells how good a run is: one of the learner's, or one
            that `finish` adds.
        mode: Whether the largest is the best (`"max"`) or the smallest (`"min"`).
        make_model: `(options, info) -> model` for a data set; several models make a
            named tuple.
        learn: `(model, config, info) -> learner`: how the model is trained.
        options: Settings of this task alone: a frozen dataclass with a default for each
            field, whose docstring explains them. Each becomes a flag of `fdl train`.
        prepare: `(dataset, config) -> dataset`: what is done to the data beforehand.
        draw: `(trained, dataset, folder, epoch)`: pictures after each epoch.
        finish: `(trained, dataset, folder) -> measures`: pictures of the trained run,
            and what is measured besides the learner's metrics.
        parts: `trained -> parts`: the models of a run by name, for Keras.
        generate: `(trained, key, sampling) -> images in [0, 1], or texts`; None for
            what generates nothing.
    """

    name: str
    title: str
    paper: str
    epochs: Mapping[str, int]
    batch_size: int
    learning_rates: Mapping[str, float]
    metric: str
    mode: Literal["max", "min"]
    make_model: Callable[[Any, DatasetInfo], Any]
    learn: Callable[[Any, Config, DatasetInfo], Learner]
    options: Any = NoOptions()
    prepare: Callable[[Dataset, Config], Dataset] = _as_it_is
    draw: Callable[[Trained, Dataset, Path, int], None] = _nothing_each_epoch
    finish: Callable[[Trained, Dataset, Path], dict[str, float]] = _nothing_more
    parts: Callable[[Trained], Mapping[str, Part]] = the_model
    generate: Callable[[Trained, Key, Sampling], Images | list[str]] | None = None

    def config(
        self,
        *,
        dataset: str | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        schedule: str | None = None,
        seed: int = 0,
        options: Any | None = None,
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
            options=self.options if options is None else options,
        )


def outline(task: Task, config: Config, info: DatasetInfo) -> Trained:
    """Return a run before training; of its state, only shapes and types."""
    model = task.make_model(config.options, info)
    learner = task.learn(model, config, info)
    key = jax.random.key(config.seed)
    state = jax.eval_shape(learner.init, key, example(info))
    return Trained(config, info, model, learner, state)

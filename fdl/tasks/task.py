"""A task: everything about a training that has a name."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

import jax
import numpy as np

from fdl.arrays import Key, PyTree
from fdl.data import Dataset, DatasetInfo, example, find
from fdl.data.dataset import Kind
from fdl.data.splits import SHARE
from fdl.learner import Learner, State
from fdl.members import tunable
from fdl.tasks.choices import OPTIMIZERS, SCHEDULES, require_name
from fdl.tasks.config import Config, NoOptions
from fdl.tasks.loading import (
    count_examples,
    default_batch_size,
    default_epochs,
    require_sizes,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
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


class ExportedModel(NamedTuple):
    """A model of a run with all that a summary or a file for Keras takes.

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

    def __post_init__(self) -> None:
        """Check the count; what texts take is checked where they are made."""
        if self.count < 1:
            raise ValueError(f"count={self.count} must be at least 1.")


def _as_it_is(dataset: Dataset, config: Config) -> Dataset:
    return dataset


def _nothing_each_epoch(
    trained: Trained, dataset: Dataset, folder: Path, epoch: int
) -> None:
    """Draw nothing."""


def _nothing_more(trained: Trained, dataset: Dataset, folder: Path) -> dict[str, float]:
    return {}


def _nothing_to_generate(trained: Trained, key: Key, sampling: Sampling) -> NoReturn:
    raise ValueError(
        f"task {trained.config.task!r} cannot generate; use `fdl predict`."
    )


def the_model(trained: Trained) -> dict[str, ExportedModel]:
    """Return the only model of a run, which reads floats shaped like its data."""
    variables = trained.state.variables
    example = np.zeros((1, *trained.info.input_shape), np.float32)
    return {"model": ExportedModel(trained.model, variables, (example,))}


class Task(NamedTuple):
    """A model, the data that it is for, how to train it, and what to show of it.

    Attributes:
        name: What `fdl train` calls it.
        title: What it is, in a line.
        paper: Where it comes from.
        epochs: Default numbers of passes over 60,000 and over 4,000 training examples;
            `default_epochs` follows from them for any number.
        batch_size: Default number of examples in an update, where there are enough.
        learning_rates: Default highest learning rate of Adam for some schedules; the
            first is the default schedule, and the rate of `"constant"` serves all that
            are not among them.
        metric: The measure that tells how good a run is: one of the learner's, or one
            that `finish` adds.
        mode: Whether the largest is the best (`"max"`) or the smallest (`"min"`).
        make_model: `(options, info) -> model` for a data set; several models make a
            named tuple.
        learn: `(model, config, info) -> learner`: how the model is trained.
        takes: Kinds of data that it can be trained on, as `DatasetInfo.kind` has them.
        dataset: Default data set; None where it is always one's own.
        options: Settings of this task alone: a frozen dataclass with a default for each
            field, whose docstring explains them. Each becomes a flag of `fdl train`.
        prepare: `(dataset, config) -> dataset`: what is done to the data beforehand.
        draw: `(trained, dataset, folder, epoch)`: pictures after each epoch.
        finish: `(trained, dataset, folder) -> measures`: pictures of the trained run,
            and what is measured on `dataset.test` besides the learner's metrics. If the
            metric is among it, sweeps choose with the validation part in that place.
        parts: `trained -> models`: the models of a run by name.
        predicts: What the learner's `predict` answers to images: the probability of
            each of the `"classes"`, or `"images"`; `"nothing"` where it reads no
            images.
        generates: What `generate` makes: `"images"` or `"text"`; None for nothing.
        generate: `(trained, key, sampling) -> images in [0, 1], or texts`.
    """

    name: str
    title: str
    paper: str
    epochs: tuple[int, int]
    batch_size: int
    learning_rates: Mapping[str, float]
    metric: str
    mode: Literal["max", "min"]
    make_model: Callable[[Any, DatasetInfo], Any]
    learn: Callable[[Any, Config, DatasetInfo], Learner]
    takes: tuple[Kind, ...] = ("image",)
    dataset: str | None = "mnist"
    options: Any = NoOptions()
    prepare: Callable[[Dataset, Config], Dataset] = _as_it_is
    draw: Callable[[Trained, Dataset, Path, int], None] = _nothing_each_epoch
    finish: Callable[[Trained, Dataset, Path], dict[str, float]] = _nothing_more
    parts: Callable[[Trained], Mapping[str, ExportedModel]] = the_model
    predicts: Literal["classes", "images", "nothing"] = "nothing"
    generates: Literal["images", "text"] | None = None
    generate: Callable[[Trained, Key, Sampling], Any] = _nothing_to_generate

    def config(
        self,
        *,
        dataset: str | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        schedule: str | None = None,
        optimizer: str = "adam",
        seed: int = 0,
        validation: float | None = SHARE,
        options: Any | None = None,
        data_dir: Path | str | None = None,
        **more: Any,
    ) -> Config:
        """Return the settings of a run: what is given, and the defaults for the rest.

        Args:
            dataset: The data set, as `fdl.data.find` takes it; None for the task's own.
            epochs: Passes over the training data; None for what the task takes for so
                many examples.
            batch_size: Examples in an update; None for the task's default, or an eighth
                of the training examples, if that is less.
            learning_rate: Highest learning rate; None for the default of the schedule
                (that of `"constant"`, if the task has none of its own), times what the
                optimizer takes of Adam's.
            schedule: How the learning rate changes; None for the task's default.
            optimizer: What makes updates of gradients.
            seed: Source of all randomness.
            validation: Share of the training examples that are held out.
            options: Settings of this task alone; None for its defaults.
            data_dir: Folder in which the data set's examples are counted.
            **more: Any other field of `Config`.

        Raises:
            DataError: If there is no such data set, or its examples cannot be counted.
            ValueError: If a value is out of range, or the task does not know it.

        Example:
            >>> import fdl.tasks
            >>> fdl.tasks.find("cnn").config(seed=3).learning_rate
            0.001
        """
        dataset = self.dataset if dataset is None else dataset
        if dataset is None:
            raise ValueError(
                f"task {self.name!r} needs data of your own: give a dataset, such as "
                "csv:FILE with --target COLUMN."
            )
        dataset = find(dataset).name
        if epochs is None or batch_size is None:
            where = None if data_dir is None else Path(data_dir)
            count = count_examples(dataset, where)
            if epochs is None:
                epochs = default_epochs(self.epochs, count)
            if batch_size is None:
                batch_size = default_batch_size(self.batch_size, count, validation)
        schedule = next(iter(self.learning_rates)) if schedule is None else schedule
        require_name("schedule", schedule, SCHEDULES)
        require_name("optimizer", optimizer, OPTIMIZERS)
        if learning_rate is None:
            rates = self.learning_rates
            any_other = rates.get("constant", min(rates.values()))
            learning_rate = rates.get(schedule, any_other)
            learning_rate *= OPTIMIZERS[optimizer].rate
        return Config(
            task=self.name,
            dataset=dataset,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            schedule=schedule,
            optimizer=optimizer,
            seed=seed,
            validation=validation,
            options=self.options if options is None else options,
            **more,
        )


def make_learner(
    task: Task,
    config: Config,
    info: DatasetInfo,
    change: Callable[[Config, Any], Config],
) -> Callable[[Any], Learner]:
    """Return what makes a task's learner from hyperparameters.

    Args:
        task: The task.
        config: Settings of the run.
        info: Its data.
        change: `(config, hparams) -> config`: the settings with these hyperparameters.
    """

    def make(hparams: Any) -> Learner:
        own = change(config, hparams)
        return task.learn(task.make_model(own.options, info), own, info)

    return make


def _with_rate(config: Config, hparams: Mapping[str, Any]) -> Config:
    return dataclasses.replace(config, learning_rate=hparams["learning_rate"])


def draw_state(trained: Trained) -> State:
    """Return a state with random parameters, to be filled with trained ones."""
    key = jax.random.key(trained.config.seed)
    return jax.jit(trained.learner.init)(key, example(trained.info))


def outline(
    task: Task,
    config: Config,
    info: DatasetInfo,
    *,
    hparams: Mapping[str, Any] | None = None,
    change: Callable[[Config, Any], Config] = _with_rate,
) -> Trained:
    """Return a run before training; of its state, only shapes and types.

    The hyperparameters in its state are `hparams`, by default the learning rate alone;
    `change` is as for `make_learner`.
    """
    model = task.make_model(config.options, info)
    require_sizes(task.name, model, info)
    learner = tunable(
        make_learner(task, config, info, change),
        {"learning_rate": config.learning_rate} if hparams is None else hparams,
    )
    key = jax.random.key(config.seed)
    state = jax.eval_shape(learner.init, key, example(info))
    return Trained(config, info, model, learner, state)

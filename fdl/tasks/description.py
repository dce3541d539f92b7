"""Descriptions and defaults of tasks, without JAX: help and errors are instant."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from fdl.plain import SHARE, Kind, Number, Predicts, is_concrete
from fdl.ranges import require_number
from fdl.tasks.choices import OPTIMIZERS, SCHEDULES, require_name
from fdl.tasks.config import OF_SOME, Config, NoOptions, full_line
from fdl.tasks.defaults import count_examples, default_batch_size, default_epochs


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Description:
    """What a task is, and its default settings.

    Attributes:
        name: Name, as in `fdl train NAME`.
        title: One-line title.
        paper: Paper that it comes from.
        epochs: Default epochs for 60,000 and for 4,000 training examples;
            `fdl.tasks.defaults` has the rule for other numbers.
        batch_size: Default number of examples per update, if there are enough.
        learning_rates: Default peak learning rate of Adam, by schedule; the first is
            the default schedule, and the rate of `"constant"` is for schedules that
            are not listed.
        clip_norm: Default largest global norm of the gradients; 0 for no clipping.
        metric: Measure by which runs are judged: a metric of the learner, or one that
            `finish` adds.
        mode: Whether larger (`"max"`) or smaller (`"min"`) values of it are better.
        options: Settings of this task alone: a frozen dataclass with a default for each
            field and a docstring that explains them. Each becomes an option of `fdl
            train`.
        supports: Fields of `Config` that only some tasks take and this one does.
        predicts: What the learner's `predict` returns for each input: probabilities of
            `"classes"`, `"numbers"`, `"images"`, or the tokens of `"sequences"`;
            `"nothing"` if it does not predict from whole inputs.
        generates: What `generate` returns: `"images"`, `"text"` or `"music"`; None if
            it cannot generate.
        takes: Kinds of data to train on, as in `DatasetInfo.kind`.
        dataset: Default data set; None if the user has to bring one.
        loss_unit: Unit of the loss, for pictures; None if it has none.
        baseline: Simple method behind the measure `baseline_METRIC`, which `finish` may
            add for comparison; empty if it adds none.
    """

    name: str
    title: str
    paper: str
    epochs: tuple[int, int]
    batch_size: int
    learning_rates: Mapping[str, float]
    metric: str
    mode: Literal["max", "min"]
    options: Any = dataclasses.field(default_factory=NoOptions)
    supports: tuple[str, ...] = ("freeze", "ema", "precision")
    predicts: Predicts = "nothing"
    generates: Literal["images", "text", "music"] | None = None
    takes: tuple[Kind, ...] = ("image",)
    dataset: str | None = "mnist"
    loss_unit: Literal["nats"] | None = None
    baseline: str = ""
    clip_norm: float = 0.0

    def config(
        self,
        *,
        dataset: str | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate: float | None = None,
        schedule: str | None = None,
        optimizer: str = "adam",
        clip_norm: Number | None = None,
        seed: int = 0,
        validation: float | None = SHARE,
        options: Any | None = None,
        data_dir: Path | str | None = None,
        **more: Any,
    ) -> Config:
        """Return the settings of a run: the given ones, and defaults for the rest.

        Args:
            dataset: The data set, as `fdl.data.find` takes it; None for the task's own.
            epochs: Passes over the training data; None for the task's default for the
                number of examples.
            batch_size: Examples per update; None for the task's default, or an eighth
                of the training examples, if that is less.
            learning_rate: Peak learning rate; None for the task's default for the
                schedule (or for `"constant"`, if it has none), times the optimizer's
                factor relative to Adam.
            schedule: Learning rate schedule; None for the task's default.
            optimizer: Name of the optimizer.
            clip_norm: Largest global norm of the gradients, 0 for no clipping; None for
                the task's default.
            seed: Random seed.
            validation: Fraction of the training examples to hold out.
            options: Settings of this task alone; None for its defaults.
            data_dir: Folder to find the data in, for counting examples.
            **more: Any other field of `Config`.

        Raises:
            ValueError: If a value is out of range, or the task does not take it.

        Example:
            >>> import fdl.tasks
            >>> fdl.tasks.describe("cnn").config(seed=3).learning_rate
            0.001
        """
        dataset = self.dataset if dataset is None else dataset
        if dataset is None:
            raise ValueError(
                f"task {self.name!r} needs your own data: pass a dataset, such as "
                f"csv:FILE with {'--text and ' if 'document' in self.takes else ''}"
                "--target COLUMN."
            )
        dataset = full_line(dataset)
        require_number("(0, 1) or None", validation=validation)
        if epochs is None or batch_size is None:
            count = count_examples(dataset, data_dir)
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
        config = Config(
            task=self.name,
            dataset=dataset,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            schedule=schedule,
            optimizer=optimizer,
            clip_norm=self.clip_norm if clip_norm is None else clip_norm,
            seed=seed,
            validation=validation,
            options=self.options if options is None else options,
            **more,
        )
        require_taken(self, config)
        return config


def require_taken(task: Description, config: Config) -> None:
    """Raise ValueError for a setting that the task does not take."""
    for name in OF_SOME:
        default, value = getattr(Config, name), getattr(config, name)
        plain = isinstance(value, str | tuple) or is_concrete(value)
        if name not in task.supports and not (plain and value == default):
            takes = "leave it out"
            if task.supports:
                takes = f"it takes {', '.join(task.supports)}"
            raise ValueError(f"task {task.name!r} does not take {name}; {takes}.")

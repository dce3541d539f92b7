"""What a task is and its defaults, without JAX: help and complaints come at once."""

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
    """What a task is, and what it is trained with where nothing is said.

    Attributes:
        name: What `fdl train` calls it.
        title: What it is, in a line.
        paper: Where it comes from.
        epochs: Default numbers of passes over 60,000 and over 4,000 training examples;
            `fdl.tasks.defaults` has the rule for other numbers.
        batch_size: Default number of examples in an update, where there are enough.
        learning_rates: Default highest learning rate of Adam for some schedules; the
            first is the default schedule, and the rate of `"constant"` serves all that
            are not among them.
        clip_norm: Default largest norm of all gradients together; 0 for no limit.
        metric: The measure that tells how good a run is: one of the learner's, or one
            that `finish` adds.
        mode: Whether the largest is the best (`"max"`) or the smallest (`"min"`).
        options: Settings of this task alone: a frozen dataclass with a default for each
            field, whose docstring explains them. Each becomes a flag of `fdl train`.
        supports: Which of the settings that not all tasks have are for this one, as
            fields of `Config`.
        predicts: What the learner's `predict` answers to each input: the probability of
            each of the `"classes"`, `"numbers"`, `"images"`, or `"sequences"`, the
            tokens of each; `"nothing"` where it is no answer to a whole input.
        generates: What `generate` makes: `"images"`, `"text"` or `"music"`; None for
            nothing.
        takes: Kinds of data that it can be trained on, as `DatasetInfo.kind` has them.
        dataset: Default data set; None where it is always one's own.
        loss_unit: Unit of the loss, for pictures; None if it has none.
        baseline: What simple method the measure `baseline_METRIC` is of, which `finish`
            may add for comparison; empty if it adds none.
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
            clip_norm: Largest norm of all gradients together, 0 for no limit; None for
                the task's default.
            seed: Source of all randomness.
            validation: Share of the training examples that are held out.
            options: Settings of this task alone; None for its defaults.
            data_dir: Folder in which the examples are counted.
            **more: Any other field of `Config`.

        Raises:
            ValueError: If a value is out of range, or the task does not know it.

        Example:
            >>> import fdl.tasks
            >>> fdl.tasks.describe("cnn").config(seed=3).learning_rate
            0.001
        """
        dataset = self.dataset if dataset is None else dataset
        if dataset is None:
            raise ValueError(
                f"task {self.name!r} needs data of your own: give a dataset, such as "
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
    """Raise ValueError if a setting is given that the task has no use for."""
    for name in OF_SOME:
        default, value = getattr(Config, name), getattr(config, name)
        plain = isinstance(value, str | tuple) or is_concrete(value)
        if name not in task.supports and not (plain and value == default):
            takes = "leave it out"
            if task.supports:
                takes = f"it takes {', '.join(task.supports)}"
            raise ValueError(f"task {task.name!r} takes no {name}; {takes}.")

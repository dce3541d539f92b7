"""Commands about a task: a subcommand for each, with its options."""

import dataclasses
import typing
from typing import Annotated, Any, Literal

import tyro

from fdl import tasks
from fdl.cli.command import (
    Command,
    OptionalFloat,
    OptionalInt,
    OptionalName,
    OptionalPath,
    unset,
)
from fdl.plain import SHARE


@dataclasses.dataclass(frozen=True)
class OfTask(Command):
    """A command about one task; `for_each_task` says which, with its options."""

    task: tyro.conf.Suppress[str] = ""
    options: tyro.conf.Suppress[Any] = None


@dataclasses.dataclass(frozen=True)
class ToTrain(OfTask):
    """A command that trains a task, with what is said of any training.

    Attributes:
        dataset: Data set; `fdl data list` lists them.
        data_dir: Folder to look for the data in first.
        epochs: Passes over the training data.
        batch_size: Examples in an update.
        learning_rate: Highest learning rate.
        schedule: How the learning rate changes: `constant`, `one-cycle`, `cosine`,
            `exponential`, `step` or `inverse-sqrt`.
        optimizer: What makes updates of gradients: `adam`, `adamw`, `nadam`, `sgd`,
            `rmsprop`, `adagrad`, `lion`, `lamb` or `muon`. SGD, Adagrad and LAMB take
            ten times the default learning rate, Lion a tenth.
        weight_decay: Decoupled weight decay, at least 0.
        momentum: Momentum of SGD, RMSprop or Muon, at least 0 and below 1.
        clip_norm: Largest norm of all gradients together; 0 for no limit.
        warmup: Updates in which the learning rate rises from 0: below 1 a share of the
            run, from 1 their number.
        seed: Source of all randomness; the first of several seeds.
        validation: Share of the training examples to hold out and select by, such as
            0.1; `none` to train on all of them and select nothing.
    """

    dataset: OptionalName = None
    data_dir: Annotated[OptionalPath, unset("the usual places if not given")] = None
    epochs: OptionalInt = None
    batch_size: OptionalInt = None
    learning_rate: OptionalFloat = None
    schedule: OptionalName = None
    optimizer: str = "adam"
    weight_decay: Annotated[
        OptionalFloat, unset("default: 0.004 with adamw, else 0")
    ] = None
    momentum: Annotated[OptionalFloat, unset("default: 0.95 with muon, else 0")] = None
    clip_norm: float = 0.0
    warmup: Annotated[
        OptionalFloat, unset("default: 0.1 with inverse-sqrt, else 0")
    ] = None
    seed: int = 0
    validation: Annotated[
        float | Literal["none"],
        tyro.conf.arg(metavar="SHARE|none"),
        unset("default: 1/6"),
    ] = SHARE

    def check(self) -> None:
        """Refuse settings that the task does not take."""
        self.config()

    def config(self) -> tasks.Config:
        """Return the task's configuration with what was given."""
        return tasks.describe(self.task).config(
            dataset=self.dataset,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            optimizer=self.optimizer,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            clip_norm=self.clip_norm,
            warmup=self.warmup,
            seed=self.seed,
            validation=None if self.validation == "none" else self.validation,
            options=self.options,
        )


def _with_defaults(command: type[ToTrain], task: tasks.Description) -> Any:
    """Return fields of a command, with what the task does where they are not given."""
    config = task.config()
    epochs = ", ".join(f"{count} on {name}" for name, count in task.epochs.items())
    rates = ", ".join(f"{x:g} with {name}" for name, x in task.learning_rates.items())
    defaults = {
        "dataset": config.dataset,
        "epochs": epochs,
        "batch_size": str(config.batch_size),
        "learning_rate": rates,
        "schedule": config.schedule,
    }
    hints = typing.get_type_hints(command, include_extras=True)
    return [
        (name, Annotated[hints[name], unset(f"default: {words}")], None)
        for name, words in defaults.items()
    ]


def for_each_task(command: type[OfTask], about: str) -> Any:
    """Return a command for each task, as a union of subcommands.

    Args:
        command: What is to be done with a task.
        about: Describes it, with `{}` for what the task trains.
    """
    union: Any = None
    for task in tasks.DESCRIPTIONS.values():
        options = Annotated[type(task.options), tyro.conf.arg(name="")]
        fields = [
            ("task", tyro.conf.Suppress[str], task.name),
            ("options", options, dataclasses.field(default=task.options)),
        ]
        if issubclass(command, ToTrain):
            fields += _with_defaults(command, task)
        one = dataclasses.make_dataclass(
            command.__name__, fields, bases=(command,), frozen=True
        )
        one.__doc__ = command.__doc__
        one = Annotated[
            one,
            tyro.conf.subcommand(task.name, description=about.format(task.title)),
        ]
        union = one if union is None else union | one
    return union

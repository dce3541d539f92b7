"""Commands about a task: a subcommand for each, with its options."""

import dataclasses
from typing import Annotated, Any, Literal

import tyro

from fdl import tasks
from fdl.arrays import Number
from fdl.cli.command import (
    Command,
    OptionalFloat,
    OptionalInt,
    OptionalName,
    OptionalPath,
    registry,
)
from fdl.data.splits import SHARE


@dataclasses.dataclass(frozen=True)
class OfTask(Command):
    """A command about one task; `for_each_task` says which, with its options."""

    task: tyro.conf.Suppress[str] = ""
    options: tyro.conf.Suppress[Any] = None


@dataclasses.dataclass(frozen=True)
class ToTrain(OfTask):
    """A command that trains a task, with what is said of any training.

    Attributes:
        dataset: Data set; the task's first if not given. `fdl data list` lists them.
        data_dir: Folder to look for the data in, before the usual places.
        epochs: Passes over the training data.
        batch_size: Examples in an update.
        learning_rate: Highest learning rate.
        schedule: How the learning rate changes: constant, one-cycle, cosine,
            exponential, step or inverse-sqrt.
        optimizer: What makes updates of gradients: adam, adamw, nadam, sgd, rmsprop,
            adagrad, lion, lamb or muon. SGD, Adagrad and LAMB take ten times the
            default learning rate, Lion a tenth.
        weight_decay: Decoupled weight decay, at least 0; if not given, AdamW has 0.004
            and all others none.
        momentum: Momentum, below 1, of SGD and RMSprop, which have none if it is not
            given, or of Muon, which has 0.95.
        clip_norm: Largest norm of all gradients together; 0 for no limit.
        warmup: Updates in which the learning rate rises from 0: below 1 a share of the
            run, from 1 their number. If not given, inverse-sqrt has a tenth and all
            others none.
        augment: How training images are changed at random: none, shift, digits for
            shift and rotation, photos for crop and flip, or cutout or colors for these
            and more.
        label_smoothing: Share of each example's probability that training spreads over
            all classes.
        class_weights: What examples of a class count in training: the word balanced, or
            NAME=WEIGHT,NAME=WEIGHT.
        ema: Decay of a moving average of the parameters that answers in their place,
            such as 0.999; 0 for none.
        precision: Type in which the model computes: float32 or bfloat16.
        freeze: Parameters that stay as they are, such as conv1, conv* or */bias.
        seed: Source of all randomness; the first of several seeds.
        validation: Share of the training examples to hold out and select by, such as
            0.1; `none` to train on all of them and select nothing.
    """

    dataset: OptionalName = None
    data_dir: OptionalPath = None
    epochs: OptionalInt = None
    batch_size: OptionalInt = None
    learning_rate: OptionalFloat = None
    schedule: OptionalName = None
    optimizer: str = "adam"
    weight_decay: OptionalFloat = None
    momentum: OptionalFloat = None
    clip_norm: float = 0.0
    warmup: OptionalFloat = None
    augment: str = "none"
    label_smoothing: float = 0.0
    class_weights: str = ""
    ema: float = 0.0
    precision: str = "float32"
    freeze: Annotated[tuple[str, ...], tyro.conf.arg(metavar="PATTERN")] = ()
    seed: int = 0
    validation: Annotated[
        float | Literal["none"], tyro.conf.arg(metavar="SHARE|none")
    ] = SHARE

    def config(self) -> tasks.Config:
        """Return the task's configuration with what was given."""
        return tasks.find(self.task).config(
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
            augment=self.augment,
            label_smoothing=self.label_smoothing,
            class_weights=self.class_weights,
            ema=self.ema,
            precision=self.precision,
            freeze=self.freeze,
            seed=self.seed,
            validation=None if self.validation == "none" else self.validation,
            options=self.options,
        )


def for_each_task(command: type[OfTask], about: str) -> Any:
    """Return a command for each task, as a union of subcommands.

    Args:
        command: What is to be done with a task.
        about: Describes it, with `{}` for what the task trains.
    """
    union: Any = None
    for task in tasks.TASKS.values():
        options = Annotated[type(task.options), tyro.conf.arg(name="")]
        fields = [
            ("task", tyro.conf.Suppress[str], task.name),
            ("options", options, dataclasses.field(default=task.options)),
        ]
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


@registry.primitive_rule
def _number(info: Any) -> Any:
    if info.type != Number:
        return None
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="FLOAT",
        instance_from_str=lambda words: float(words[0]),
        is_instance=lambda value: isinstance(value, (int, float)),
        str_from_instance=lambda value: [str(value)],
    )

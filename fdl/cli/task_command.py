"""Commands about a task: a subcommand for each, with its options."""

import dataclasses
from typing import Annotated, Any, ClassVar, Literal

import tyro

from fdl import data, tasks
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

    task: ClassVar[tasks.Task]
    options: tyro.conf.Suppress[Any] = None


@dataclasses.dataclass(frozen=True)
class ToTrain(OfTask):
    """A command that trains a task, with what is said of any training.

    Attributes:
        dataset: Data set: a name that `fdl data list` lists, or data of your own, such
            as `folder:PATH`, `npz:FILE`, `csv:FILE` or `text:FILE`; the task's own if
            not given.
        target: Column of a CSV file that is to be told; member of JSON lines.
        size: Height and width of the images of a folder, such as `64` or `48x64`.
        skip_bad: Leave out pictures of a folder that cannot be read.
        data_dir: Folder to look for the data in, before the usual places.
        epochs: Passes over the training data.
        batch_size: Examples in an update.
        learning_rate: Highest learning rate.
        schedule: How the learning rate changes: `constant`, `one-cycle`, `cosine`,
            `exponential`, `step` or `inverse-sqrt`.
        optimizer: What makes updates of gradients: `adam`, `adamw`, `nadam`, `sgd`,
            `rmsprop`, `adagrad`, `lion`, `lamb` or `muon`. SGD, Adagrad and LAMB take
            ten times the default learning rate, Lion a tenth.
        weight_decay: Decoupled weight decay, at least 0; 0.004 for AdamW, else 0.
        momentum: Momentum of SGD (0), RMSprop (0) or Muon (0.95), below 1.
        clip_norm: Largest norm of all gradients together; 0 for no limit.
        warmup: Updates in which the learning rate rises from 0: below 1 a share of the
            run, from 1 their number. A tenth for `inverse-sqrt`, else none.
        seed: Source of all randomness; the first of several seeds.
        validation: Share of the training examples to hold out and select by, such as
            0.1; `none` to train on all of them and select nothing.
    """

    dataset: OptionalName = None
    target: OptionalName = None
    size: OptionalName = None
    skip_bad: bool = False
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
    seed: int = 0
    validation: Annotated[
        float | Literal["none"], tyro.conf.arg(metavar="SHARE|none")
    ] = SHARE

    def config(self) -> tasks.Config:
        """Return the task's configuration with what was given."""
        return self.task.config(data_dir=self.data_dir, **self.settings())

    def settings(self) -> dict[str, Any]:
        """Return the settings that were given, by name."""
        dataset = self.task.dataset if self.dataset is None else self.dataset
        options = {
            "size": self.size,
            "target": self.target,
            "skip_bad": self.skip_bad or None,
        }
        return dict(
            dataset=None if dataset is None else data.find(dataset, **options).name,
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

    @property
    def model(self) -> str | None:
        """The model of the user's that is to be trained, if any."""
        own = isinstance(self.options, tasks.OwnModel)
        return self.options.model if own else None


def for_each_task(command: type[OfTask], about: str, own: str | None) -> Any:
    """Return a command for each task, as a union of subcommands.

    Args:
        command: What is to be done with a task.
        about: Describes it, with `{}` for what the task trains.
        own: `MODULE:NAME` of a task of the user's; then the command is for that alone.
    """
    union: Any = None
    known = tasks.known() if own is None else [tasks.own_task(own)]
    for task in known:
        options = Annotated[type(task.options), tyro.conf.arg(name="")]
        fields = [
            ("options", options, dataclasses.field(default=task.options)),
        ]
        one = dataclasses.make_dataclass(
            command.__name__,
            fields,
            bases=(command,),
            namespace={"task": task},
            frozen=True,
        )
        one.__doc__ = command.__doc__
        if own is not None:
            return one
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

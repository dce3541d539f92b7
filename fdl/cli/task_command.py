"""Commands about a task: a subcommand for each, with its options."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import tyro

from fdl import tasks
from fdl.cli.command import (
    Command,
    OptionalFloat,
    OptionalInt,
    OptionalName,
    OptionalPath,
    named_again,
    unset,
)
from fdl.plain import SHARE


@dataclasses.dataclass(frozen=True)
class OfTask(Command):
    """A command about one task; `for_each_task` says which, with its options."""

    task: ClassVar[tasks.Description]
    own: ClassVar[str | None]
    """`MODULE:NAME` of the task, where it is one of the user's."""

    model: tyro.conf.Suppress[Any] = None


@dataclasses.dataclass(frozen=True)
class Data:
    """What is trained on.

    Attributes:
        dataset: Data set: a name that `fdl data list` lists, or data of your own, such
            as `folder:PATH`, `npz:FILE`, `csv:FILE`, `tsv:FILE`, `text:FILE`,
            `jsonl:FILE`, `tfds:NAME` or `hf:PATH`.
        target: Column of a CSV file, or member of JSON lines, to predict.
        text: Column or member that is the text, where texts are to be classified.
        size: Height and width to bring images of your own to, such as `64` or `48x64`.
        skip_bad: Leave out pictures of a folder that cannot be read.
        data_dir: Folder to look for the data in first.
        validation: Share of the training examples to hold out and select by, such as
            0.1; `none` to train on all of them and select nothing.
    """

    dataset: OptionalName = None
    target: OptionalName = None
    text: OptionalName = None
    size: OptionalName = None
    skip_bad: bool = False
    data_dir: Annotated[OptionalPath, unset("the usual places if not given")] = None
    validation: Annotated[
        float | Literal["none"],
        tyro.conf.arg(metavar="SHARE|none"),
        unset("default: 1/6"),
    ] = SHARE


@dataclasses.dataclass(frozen=True)
class Training:
    """How it is trained.

    Attributes:
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
        freeze: Parameters that stay as they are, such as conv1, conv* or */bias; of
            networks for images also backbone, which is all but the head.
        seed: Source of all randomness; the first of several seeds.
    """

    epochs: OptionalInt = None
    batch_size: OptionalInt = None
    learning_rate: OptionalFloat = None
    schedule: OptionalName = None
    optimizer: Annotated[str, tyro.conf.arg(metavar="NAME")] = "adam"
    weight_decay: Annotated[
        OptionalFloat, unset("default: 0.004 with adamw, else 0")
    ] = None
    momentum: Annotated[OptionalFloat, unset("default: 0.95 with muon, else 0")] = None
    clip_norm: OptionalFloat = None
    warmup: Annotated[
        OptionalFloat, unset("default: 0.1 with inverse-sqrt, else 0")
    ] = None
    augment: Annotated[str, tyro.conf.arg(metavar="NAME")] = "none"
    label_smoothing: float = 0.0
    class_weights: Annotated[
        str, tyro.conf.arg(metavar="WEIGHTS"), unset("default: 1 for all")
    ] = ""
    ema: float = 0.0
    precision: Annotated[str, tyro.conf.arg(metavar="NAME")] = "float32"
    freeze: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="PATTERN"), unset("default: none")
    ] = ()
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class ToTrain(OfTask):
    """A command that trains a task, with what is said of any training.

    Attributes:
        config: TOML file, or `config.json` of a run, with settings by name; options
            that are given beside it count more.
        data: What is trained on.
        training: How it is trained.
    """

    config: OptionalPath = None

    data: Data = Data()
    training: Training = Training()

    def validate(self) -> None:
        """Refuse settings that the task does not take."""
        self.configuration()

    def configuration(self) -> tasks.Config:
        """Return the task's configuration with what was given."""
        return self.task.config(**self.settings(), data_dir=self.data.data_dir)

    def settings(self) -> dict[str, Any]:
        """Return the settings that were given, by name."""
        share = self.data.validation
        return vars(self.training) | {
            "dataset": _line(self.data),
            "validation": None if share == "none" else share,
            "options": self.model,
        }

    def trained(self) -> dict[str, Any]:
        """Return what is trained: the task, its settings, and a model of the user's."""
        name = self.task.name
        return self.settings() | {
            "task": name if name in tasks.DESCRIPTIONS else self.task,
            "model": self._own_model,
        }

    @property
    def named_again(self) -> str:
        """The words that name what is the user's to a command that goes on."""
        return named_again(self._own_model, self.own)

    @property
    def _own_model(self) -> str | None:
        return self.model.model if isinstance(self.model, tasks.OwnModel) else None


def for_each_task(command: type[OfTask], about: str, own: str | None) -> Any:
    """Return a command for each task, as a union of subcommands.

    Args:
        command: What is to be done with a task.
        about: Describes it, with `{}` for what the task trains.
        own: `MODULE:NAME` of a task of the user's; then the command is for that alone.
    """
    union: Any = None
    for task in tasks.known() if own is None else [tasks.own_task(own)]:
        fields: list[Any] = [
            ("model", type(task.options), dataclasses.field(default=task.options)),
        ]
        if issubclass(command, ToTrain):
            for name, group in (("data", Data), ("training", Training)):
                kind = _with_defaults(group, _defaults(task))
                fields.append((name, kind, dataclasses.field(default=kind())))
        one = dataclasses.make_dataclass(
            command.__name__,
            fields,
            bases=(command,),
            namespace={"task": task, "own": own},
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


def _defaults(task: tasks.Description) -> Mapping[str, str]:
    """Return what a task does where an option is not given, for the help."""
    many, few = task.epochs
    # Without commas, at which a number would be broken.
    epochs = f"{many} for 60000 examples, {few} for 4000" if many != few else str(many)
    rates = ", ".join(f"{x:g} with {name}" for name, x in task.learning_rates.items())
    return {
        "dataset": task.dataset or "none: give one, such as csv:FILE",
        "epochs": epochs,
        "batch_size": str(task.batch_size),
        "learning_rate": rates,
        "schedule": next(iter(task.learning_rates)),
        "clip_norm": f"{task.clip_norm:g}",
    }


def _with_defaults(group: type, defaults: Mapping[str, str]) -> type:
    """Return a group of options whose help tells what not giving them means."""
    hints = typing.get_type_hints(group, include_extras=True)
    fields = [
        (name, Annotated[hints[name], unset(f"default: {words}")], None)
        for name, words in defaults.items()
        if name in hints
    ]
    made = dataclasses.make_dataclass(
        group.__name__, fields, bases=(group,), frozen=True
    )
    made.__doc__ = group.__doc__
    return made


def _line(given: Data) -> str | None:
    """Return the line that names a dataset with its options; None if none is given."""
    options = {
        "target": given.target,
        "text": given.text,
        "size": given.size,
        "skip_bad": given.skip_bad or None,
    }
    if given.dataset is None or not any(options.values()):
        return given.dataset
    from fdl import data  # JAX; what has a name does without

    return data.find(given.dataset, **options).name

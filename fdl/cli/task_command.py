"""Commands with a subcommand for each task and its options."""

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
    """A command for one task, which `for_each_task` sets along with its options."""

    task: ClassVar[tasks.Description]
    own: ClassVar[str | None]
    """`MODULE:NAME` of the task, if it is the user's own."""

    model: tyro.conf.Suppress[Any] = None


@dataclasses.dataclass(frozen=True)
class Data:
    """Training data.

    Attributes:
        dataset: Data set: a name from `fdl data list`, or your own data, such as
            `folder:PATH`, `npz:FILE`, `csv:FILE`, `tsv:FILE`, `text:FILE`,
            `jsonl:FILE`, `tfds:NAME` or `hf:PATH`.
        target: Column of a CSV file, or member of JSON lines, to predict.
        text: Column or member with the text, for text classification.
        size: Height and width to resize your own images to, such as `64` or `48x64`.
        skip_bad: Skip unreadable pictures of a folder.
        data_dir: Folder to search for the data first.
        validation: Fraction of the training examples to hold out for model selection,
            such as 0.1; `none` to train on all of them, without selection.
    """

    dataset: OptionalName = None
    target: OptionalName = None
    text: OptionalName = None
    size: OptionalName = None
    skip_bad: bool = False
    data_dir: Annotated[OptionalPath, unset("default: the usual places")] = None
    validation: Annotated[
        float | Literal["none"],
        tyro.conf.arg(metavar="SHARE|none"),
        unset("default: 1/6"),
    ] = SHARE


@dataclasses.dataclass(frozen=True)
class Training:
    """Training settings.

    Attributes:
        epochs: Passes over the training data.
        batch_size: Examples per update.
        learning_rate: Peak learning rate.
        schedule: Learning rate schedule: `constant`, `one-cycle`, `cosine`,
            `exponential`, `step` or `inverse-sqrt`.
        optimizer: Optimizer: `adam`, `adamw`, `nadam`, `sgd`, `rmsprop`, `adagrad`,
            `lion`, `lamb` or `muon`. The default learning rate is ten times as high for
            SGD, Adagrad and LAMB, and a tenth for Lion.
        weight_decay: Decoupled weight decay, at least 0.
        momentum: Momentum of SGD, RMSprop or Muon, at least 0 and below 1.
        clip_norm: Largest global norm of the gradients; 0 for no clipping.
        warmup: Warm-up, in which the learning rate rises from 0: a fraction of the run
            if below 1, else a number of updates.
        augment: Random augmentation of training images: none, shift, digits (shift,
            rotation), photos (crop, flip), cutout (photos, cutout) or colors (photos,
            brightness, contrast).
        label_smoothing: Share of each label's probability that training spreads over
            all classes.
        class_weights: Loss weights of the classes in training: the word balanced, or
            NAME=WEIGHT,NAME=WEIGHT.
        ema: Decay of a moving average of the parameters, which predicts in their
            place, such as 0.999; 0 for none.
        precision: Data type in which the model computes: float32 or bfloat16.
        freeze: Parameters to freeze, such as conv1, conv* or */bias; for image networks
            also backbone, which is all but the head.
        seed: Random seed; the first one, if there are several.
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
        str, tyro.conf.arg(metavar="WEIGHTS"), unset("default: 1 for each")
    ] = ""
    ema: float = 0.0
    precision: Annotated[str, tyro.conf.arg(metavar="NAME")] = "float32"
    freeze: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="PATTERN"), unset("default: none")
    ] = ()
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class ToTrain(OfTask):
    """A command that trains a task, with the options of every training.

    Attributes:
        config: TOML file, or `config.json` of a run, with settings by name; options
            on the command line override it.
        data: Training data.
        training: Training settings.
    """

    config: OptionalPath = None

    data: Data = Data()
    training: Training = Training()

    def validate(self) -> None:
        """Reject settings that the task does not take."""
        self.configuration()

    def configuration(self) -> tasks.Config:
        """Return the task's configuration with the given settings."""
        return self.task.config(**self.settings(), data_dir=self.data.data_dir)

    def settings(self) -> dict[str, Any]:
        """Return the given settings by name."""
        share = self.data.validation
        return vars(self.training) | {
            "dataset": _line(self.data),
            "validation": None if share == "none" else share,
            "options": self.model,
        }

    def trained(self) -> dict[str, Any]:
        """Return what to train: the task, its settings, and the user's own model."""
        name = self.task.name
        return self.settings() | {
            "task": name if name in tasks.DESCRIPTIONS else self.task,
            "model": self._own_model,
        }

    @property
    def named_again(self) -> str:
        """The options that pass the user's own model and task to a resuming command."""
        return named_again(self._own_model, self.own)

    @property
    def _own_model(self) -> str | None:
        return self.model.model if isinstance(self.model, tasks.OwnModel) else None


def for_each_task(command: type[OfTask], about: str, own: str | None) -> Any:
    """Return a command for each task, as a union of subcommands.

    Args:
        command: The command to derive one for each task from.
        about: Description for the help, with `{}` for the title of the task.
        own: `MODULE:NAME` of the user's own task, to return the command of that alone.
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
    """Return a task's defaults in words, by option, for the help."""
    many, few = task.epochs
    # No commas: the help would break the numbers at them.
    epochs = f"{many} for 60000 examples, {few} for 4000" if many != few else str(many)
    rates = ", ".join(f"{x:g} with {name}" for name, x in task.learning_rates.items())
    return {
        "dataset": task.dataset or "none: pass one, such as csv:FILE",
        "epochs": epochs,
        "batch_size": str(task.batch_size),
        "learning_rate": rates,
        "schedule": next(iter(task.learning_rates)),
        "clip_norm": f"{task.clip_norm:g}",
    }


def _with_defaults(group: type, defaults: Mapping[str, str]) -> type:
    """Return a group of options whose help shows the task's defaults."""
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
    """Return the data set and its options as one string; None if none is given."""
    options = {
        "target": given.target,
        "text": given.text,
        "size": given.size,
        "skip_bad": given.skip_bad or None,
    }
    if given.dataset is None or not any(options.values()):
        return given.dataset
    from fdl import data  # imports JAX, which named data sets do not need

    return data.find(given.dataset, **options).name

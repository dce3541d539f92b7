"""The settings of a run."""

import dataclasses
from typing import Any

from fdl.plain import DATASETS, SHARE, Number, unknown
from fdl.ranges import require_number, require_whole
from fdl.tasks.choices import (
    OPTIMIZERS,
    PRECISIONS,
    RECIPES,
    SCHEDULES,
    require_momentum,
    require_name,
    require_warmup,
)

OF_SOME = (
    "augment",
    "label_smoothing",
    "class_weights",
    "ema",
    "precision",
    "freeze",
)
"""Settings that only some tasks take; see `Task.supports`."""


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """Options of a task that only has the settings that all tasks have."""


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of a run; with the same data and versions, they repeat its result.

    Attributes:
        task: Name of the task.
        dataset: The data set, as `fdl.data.find` takes it, with absolute paths.
        epochs: Passes over the training data, at least 1.
        batch_size: Examples per update, at least 1.
        learning_rate: Peak learning rate of the schedule, above 0.
        schedule: Learning rate schedule; see `fdl.tasks.schedules`.
        optimizer: Name of the optimizer; see `fdl.tasks.optimizers`.
        weight_decay: Decoupled weight decay, at least 0: each update shrinks parameters
            by the factor `1 - learning_rate * weight_decay`; None for the optimizer's
            default.
        momentum: Fraction of an update carried over to the next, in [0, 1); None for
            the optimizer's default.
        clip_norm: Largest global norm of the gradients, above 0; 0 for no clipping.
        warmup: Warm-up, in which the learning rate rises from 0: a fraction of the run
            if below 1, else a number of updates; None for the schedule's default.
        augment: Random augmentation of training images, by the name of a recipe; see
            `fdl.tasks.assemble`.
        label_smoothing: Share, in [0, 1], of each label's probability that training
            spreads over all classes.
        class_weights: Factors of the losses of each class in training: `"balanced"`,
            text such as `"cat=2,dog=0.5"`, or a number for each class; empty for 1.
        ema: Decay of a moving average of the parameters, in [0, 1), which predicts and
            is evaluated in their place; 0 for none.
        precision: Data type in which the model computes, `"float32"` or `"bfloat16"`;
            its parameters are float32.
        freeze: Parameters to freeze, by paths or patterns; see `fdl.learners.frozen`.
            `"backbone"` is everything before the head of a model that has
            `fdl.models.backbone_layers`.
        seed: Random seed, from 0 to 2**32 - 1.
        validation: Fraction of the training examples to hold out for model selection,
            above 0 and below 1; None to train on all of them, without selection.
        options: Settings of this task alone, an instance of its own dataclass.

    Raises:
        ValueError: If a number is out of range, a name is unknown, or the optimizer or
            schedule does not take a setting.
    """

    task: str
    dataset: str
    epochs: int
    batch_size: int
    learning_rate: Number
    schedule: str
    seed: int
    validation: float | None = SHARE
    optimizer: str = "adam"
    weight_decay: Number | None = None
    momentum: Number | None = None
    clip_norm: Number = 0.0
    warmup: Number | None = None
    augment: str = "none"
    label_smoothing: Number = 0.0
    class_weights: str | tuple[float, ...] = ""
    ema: Number = 0.0
    precision: str = "float32"
    freeze: tuple[str, ...] = ()
    options: Any = NoOptions()

    def __post_init__(self) -> None:
        """Check the numbers and names."""
        # An absolute path means the same in every working directory.
        object.__setattr__(self, "dataset", full_line(self.dataset))
        require_whole("[1, inf)", epochs=self.epochs, batch_size=self.batch_size)
        require_number("(0, inf)", learning_rate=self.learning_rate)
        require_name("optimizer", self.optimizer, OPTIMIZERS)
        require_name("schedule", self.schedule, SCHEDULES)
        require_number("[0, inf) or None", weight_decay=self.weight_decay)
        require_number("[0, 1) or None", momentum=self.momentum)
        require_number("[0, inf)", clip_norm=self.clip_norm)
        require_number("[0, inf) or None", warmup=self.warmup)
        require_name("augment", self.augment, RECIPES)
        require_name("precision", self.precision, PRECISIONS)
        require_number("[0, 1)", ema=self.ema)
        require_number("[0, 1]", label_smoothing=self.label_smoothing)
        if self.momentum is not None:
            require_momentum(self.optimizer)
        if self.warmup is not None:
            require_warmup(self.schedule)
        require_whole(f"[0, {2**32 - 1}]", seed=self.seed)
        require_number("(0, 1) or None", validation=self.validation)


def full_line(dataset: str) -> str:
    """Return the string that specifies a data set, with its path made absolute.

    Example:
        >>> full_line("mnist"), full_line("folder:/data/./photos")
        ('mnist', 'folder:/data/photos')
    """
    if not isinstance(dataset, str):
        raise ValueError(
            f"dataset is of type {type(dataset).__name__}, but must be a string, such "
            "as 'npz:FILE': save arrays with numpy.savez, or use them in fdl.fit."
        )
    if dataset in DATASETS:
        return dataset
    if ":" not in dataset and dataset.partition("?")[0] not in DATASETS:
        raise ValueError(unknown("dataset", dataset, DATASETS))
    from fdl.data import find  # imports JAX, which named data sets do not need

    return find(dataset).name

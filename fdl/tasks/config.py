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
"""Settings that not all tasks take; see `Task.supports`."""


@dataclasses.dataclass(frozen=True)
class NoOptions:
    """A task has no settings besides those that all have."""


@dataclasses.dataclass(frozen=True)
class Config:
    """What makes a run: with the same data and versions, the same result.

    Attributes:
        task: Name of the task.
        dataset: The data set, as `fdl.data.find` takes it; places are written in full.
        epochs: Passes over the training data, at least 1.
        batch_size: Examples in an update, at least 1.
        learning_rate: Highest learning rate of the schedule, above 0.
        schedule: How the learning rate changes; see `fdl.tasks.schedules`.
        optimizer: What makes updates of gradients; see `fdl.tasks.optimizers`.
        weight_decay: Each update takes `learning_rate * weight_decay` of a parameter
            away from it, at least 0; None for the optimizer's own.
        momentum: Fraction of an update carried over to the next, in [0, 1); None for
            the optimizer's own.
        clip_norm: Largest norm of all gradients together, above 0; 0 for no limit.
        warmup: Updates in which the learning rate rises from 0: below 1 a share of the
            run, from 1 their number; None for the schedule's own.
        augment: How training images are changed at random, by the name of a recipe; see
            `fdl.tasks.assemble`.
        label_smoothing: Share, in [0, 1], of each example's probability that training
            spreads over all classes.
        class_weights: What the losses of each class's examples are multiplied by in
            training: `"balanced"`, words such as `"cat=2,dog=0.5"`, or a number for
            each class; empty for 1.
        ema: Decay of a moving average of the parameters, which then answers and is
            measured in their place, in [0, 1); 0 for none.
        precision: Type in which the model computes, `"float32"` or `"bfloat16"`; its
            parameters are float32.
        freeze: Parameters that stay as they are, by paths or patterns; see
            `fdl.learners.frozen`. `"backbone"` is all before the head of a model that
            has `fdl.models.backbone_layers`.
        seed: Source of all randomness, from 0 to 2**32 - 1.
        validation: Share of the training examples that are held out to select by, above
            0 and below 1; None to train on all of them and select nothing.
        options: Settings of this task alone, its own dataclass.

    Raises:
        ValueError: If a number is out of range, there is no schedule or optimizer of
            a name, or it does not take what it is given.
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
        # What is kept means the same in every folder.
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
    """Return the line of a dataset, with its place written in full.

    Example:
        >>> full_line("mnist"), full_line("folder:/data/./photos")
        ('mnist', 'folder:/data/photos')
    """
    if dataset in DATASETS:
        return dataset
    if ":" not in dataset and dataset.partition("?")[0] not in DATASETS:
        raise ValueError(unknown("dataset", dataset, DATASETS))
    from fdl.data import find  # JAX; what has a name does without

    return find(dataset).name

"""Optimizers and schedules by name, and their defaults, without JAX."""

from collections.abc import Collection
from typing import NamedTuple

from fdl.plain import unknown


class OptimizerDefaults(NamedTuple):
    """Default settings of an optimizer.

    Attributes:
        rate: Learning rate, as a multiple of Adam's.
        weight_decay: Decoupled weight decay.
        momentum: Momentum; None if the optimizer does not take one.
    """

    rate: float = 1.0
    weight_decay: float = 0.0
    momentum: float | None = None


OPTIMIZERS: dict[str, OptimizerDefaults] = {
    "adam": OptimizerDefaults(),
    "adamw": OptimizerDefaults(weight_decay=0.004),
    "nadam": OptimizerDefaults(),
    "sgd": OptimizerDefaults(rate=10.0, momentum=0.0),
    "rmsprop": OptimizerDefaults(momentum=0.0),
    "adagrad": OptimizerDefaults(rate=10.0),
    "lion": OptimizerDefaults(rate=0.1),
    "lamb": OptimizerDefaults(rate=10.0),
    "muon": OptimizerDefaults(momentum=0.95),
}
"""All optimizers; see `fdl.tasks.optimizers`."""

RECIPES = ("none", "shift", "digits", "photos", "cutout", "colors")
"""All recipes of image augmentation; see `fdl.tasks.assemble`."""

PRECISIONS = ("float32", "bfloat16")
"""All data types in which a model can compute."""

SCHEDULES: dict[str, float | None] = {
    "constant": 0.0,
    "one-cycle": None,
    "cosine": 0.0,
    "exponential": 0.0,
    "step": 0.0,
    "inverse-sqrt": 0.1,
}
"""All schedules with their default warm-up; None for those that include one. See
`fdl.tasks.schedules`."""


def require_name(kind: str, name: str, known: Collection[str]) -> None:
    """Raise ValueError unless a name is known.

    Example:
        >>> require_name("schedule", "up", ["constant", "cosine"])
        Traceback (most recent call last):
        ValueError: there is no schedule 'up'; schedules: constant, cosine.
    """
    if name not in known:
        raise ValueError(unknown(kind, name, known))


def require_momentum(optimizer: str) -> None:
    """Raise ValueError unless an optimizer takes a momentum.

    Example:
        >>> require_momentum("adam")
        Traceback (most recent call last):
        ValueError: optimizer 'adam' takes no momentum: leave it out, or choose one of \
sgd, rmsprop, muon.
    """
    if OPTIMIZERS[optimizer].momentum is None:
        having = [name for name, one in OPTIMIZERS.items() if one.momentum is not None]
        raise ValueError(
            f"optimizer {optimizer!r} takes no momentum: leave it out, or choose one "
            f"of {', '.join(having)}."
        )


def require_warmup(schedule: str) -> None:
    """Raise ValueError unless a schedule takes a warm-up.

    Example:
        >>> require_warmup("one-cycle")
        Traceback (most recent call last):
        ValueError: schedule 'one-cycle' takes no warmup, since it has a rise of its \
own: leave it out, or choose another schedule.
    """
    if SCHEDULES[schedule] is None:
        raise ValueError(
            f"schedule {schedule!r} takes no warmup, since it has a rise of its own: "
            "leave it out, or choose another schedule."
        )

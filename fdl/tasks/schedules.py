"""Learning rates over a run, by name."""

import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import optax

from fdl.arrays import Number
from fdl.data import DatasetInfo
from fdl.tasks.config import Config

Schedule = Literal["constant", "one-cycle"]


def _one_cycle(peak: Any, steps: int) -> optax.Schedule:
    # Warm up over the first 30 % of the run, then come down to nearly nothing.
    return optax.cosine_onecycle_schedule(steps, peak, final_div_factor=1e3)


_SCHEDULES: dict[Schedule, Callable[[Any, int], optax.Schedule]] = {
    "constant": lambda rate, steps: optax.constant_schedule(rate),
    "one-cycle": _one_cycle,
}


def make_schedule(name: str, rate: Number, steps: int) -> optax.Schedule:
    """Return the learning rate as a function of the step.

    Args:
        name: `"constant"`, or `"one-cycle"` (Smith & Topin, 2018, arXiv:1708.07120),
            which rises to `rate` and falls to nearly zero along half cosines.
        rate: The highest rate that is reached, above 0.
        steps: Number of updates in the run, at least 1.

    Raises:
        ValueError: If there is no schedule of that name.

    Example:
        >>> schedule = make_schedule("one-cycle", 0.01, steps=100)
        >>> [round(float(schedule(step)), 4) for step in (0, 30, 99)]
        [0.0004, 0.01, 0.0]
    """
    if name not in _SCHEDULES:
        known = ", ".join(get_args(Schedule))
        raise ValueError(f"there is no schedule {name!r}; schedules: {known}.")
    return _SCHEDULES[name](rate, steps)


def learning_rate(config: Config, info: DatasetInfo) -> optax.Schedule:
    """Return the learning rate of a run, as a function of the step.

    Example:
        >>> import fdl.data, fdl.tasks
        >>> info = fdl.data.load("mnist-5k").info
        >>> config = fdl.tasks.find("cnn").config(schedule="one-cycle", epochs=1)
        >>> round(float(learning_rate(config, info)(18)), 4)
        0.003
    """
    steps = config.epochs * math.ceil(info.train_count / config.batch_size)
    return make_schedule(config.schedule, config.learning_rate, steps)

"""Learning rate schedules, by name."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import optax

from fdl.arrays import Number, is_concrete, is_on
from fdl.data import DatasetInfo
from fdl.tasks.choices import SCHEDULES, require_name, require_warmup
from fdl.tasks.config import Config

Step = Any
"""Number of updates so far, on the host or on a device."""

Factor = Callable[[Any, Any, Any], Any]
"""Function from the updates since the warm-up, their total number, and the length of
the warm-up to the fraction of the peak rate."""


def _cosine(step: Step, steps: Any, rise: Any) -> Any:
    return 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(step / steps, 1)))


def _exponential(step: Step, steps: Any, rise: Any) -> Any:
    return 0.01 ** (step / steps)


def _step(step: Step, steps: Any, rise: Any) -> Any:
    return jnp.where(step < 0.5 * steps, 1, jnp.where(step < 0.75 * steps, 0.1, 0.01))


def _inverse_sqrt(step: Step, steps: Any, rise: Any) -> Any:
    first = jnp.maximum(rise, 1)
    return jnp.sqrt(first / jnp.maximum(step + rise, first))


_FACTORS: dict[str, Factor] = {
    "constant": lambda step, steps, rise: 1,
    "cosine": _cosine,
    "exponential": _exponential,
    "step": _step,
    "inverse-sqrt": _inverse_sqrt,
}


def make_schedule(
    name: str, rate: Number, steps: int, *, warmup: Number | None = None
) -> optax.Schedule:
    """Return the learning rate as a function of the number of updates so far.

    After `t` of the `T` updates that follow the warm-up, the rate is

    - `"constant"`: `rate`;
    - `"cosine"` (Loshchilov & Hutter, 2017, arXiv:1608.03983):
      `rate (1 + cos(pi t / T)) / 2`;
    - `"exponential"`: `rate 0.01^(t / T)`;
    - `"step"` (as in He et al., 2016): `rate`, a tenth of it from half of the updates,
      a hundredth from three quarters;
    - `"inverse-sqrt"` (Vaswani et al., 2017): `rate sqrt(w / (w + t))` after a warm-up
      of `w` updates, by default a tenth of the run;
    - `"one-cycle"` (Smith & Topin, 2018, arXiv:1708.07120): a rise along half a cosine
      over the first 30 % of the run, and a fall along another to nearly zero. It takes
      no other warm-up.

    Args:
        name: Name of the schedule.
        rate: Peak rate, above 0.
        steps: Number of updates in the run, at least 1.
        warmup: Warm-up, in which the rate rises linearly from 0: a fraction of the run
            if below 1, else a number of updates; 0 for none, None for the schedule's
            default.

    Raises:
        ValueError: If the name is unknown, the schedule takes no warm-up, or the run is
            not longer than the warm-up.

    Example:
        >>> schedule = make_schedule("one-cycle", 0.01, steps=100)
        >>> [round(float(schedule(step)), 4) for step in (0, 30, 99)]
        [0.0004, 0.01, 0.0]
        >>> schedule = make_schedule("cosine", 0.01, steps=100, warmup=0.2)
        >>> [round(float(schedule(step)), 4) for step in (10, 20, 60, 100)]
        [0.005, 0.01, 0.005, 0.0]
    """
    require_name("schedule", name, SCHEDULES)
    if warmup is not None:
        require_warmup(name)
    own = SCHEDULES[name]
    if own is None:
        return optax.cosine_onecycle_schedule(steps, rate, final_div_factor=1e3)
    rise = own if warmup is None else warmup
    if is_concrete(rise) and rise >= max(1, steps):
        raise ValueError(
            f"warmup={rise} must be less than the number of updates, {steps}."
        )
    if name == "constant" and not is_on(rise):
        return optax.constant_schedule(rate)
    return _with_warmup(_FACTORS[name], rate, steps, rise)


def _with_warmup(factor: Factor, rate: Any, steps: int, warmup: Any) -> optax.Schedule:
    def schedule(step: Step) -> Any:
        now = jnp.asarray(step, float)
        rise = jnp.where(jnp.asarray(warmup) < 1, warmup * steps, warmup)
        after = jnp.maximum(now - rise, 0)
        risen = jnp.minimum(now / jnp.where(rise > 0, rise, 1), 1)
        return rate * jnp.where(
            now < rise, risen, factor(after, jnp.maximum(steps - rise, 1), rise)
        )

    return schedule


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
    return make_schedule(
        config.schedule, config.learning_rate, steps, warmup=config.warmup
    )

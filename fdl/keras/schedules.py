"""Keras' learning-rate schedules, as functions of the step.

The rate at step `t` applies to update `t + 1`. The schedules can be passed to any
optimizer of optax or `fdl.keras`.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Float

from fdl.arrays import Array
from fdl.ranges import require_number, require_whole

Step = Any
"""Number of updates so far: a Python number or an array."""

Rate = Any
"""A learning rate: a Python number or an array."""


def exponential_decay(
    initial_learning_rate: float,
    decay_steps: int,
    decay_rate: float,
    *,
    staircase: bool = False,
) -> optax.Schedule:
    """Return `initial_learning_rate * decay_rate ** (step / decay_steps)`.

    Args:
        initial_learning_rate: Rate at step 0, above 0.
        decay_steps: Steps after which the rate is multiplied by `decay_rate`, at
            least 1.
        decay_rate: Factor, above 0.
        staircase: Whether the rate changes only every `decay_steps` steps.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> float(exponential_decay(1.0, 10, 0.5)(20))
        0.25
    """
    require_whole("[1, inf)", decay_steps=decay_steps)
    rates = {"initial_learning_rate": initial_learning_rate, "decay_rate": decay_rate}
    require_number("(0, inf)", **rates)
    return optax.exponential_decay(
        initial_learning_rate, decay_steps, decay_rate, staircase=staircase
    )


def inverse_time_decay(
    initial_learning_rate: float,
    decay_steps: int,
    decay_rate: float,
    *,
    staircase: bool = False,
) -> optax.Schedule:
    """Return `initial_learning_rate / (1 + decay_rate * step / decay_steps)`.

    Args:
        initial_learning_rate: Rate at step 0, above 0.
        decay_steps: Steps after which the divisor has grown by `decay_rate`, at least
            1.
        decay_rate: Growth of the divisor, at least 0.
        staircase: Whether the rate changes only every `decay_steps` steps.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> float(inverse_time_decay(1.0, 10, 0.5)(20))
        0.5
    """
    require_whole("[1, inf)", decay_steps=decay_steps)
    require_number("(0, inf)", initial_learning_rate=initial_learning_rate)
    require_number("[0, inf)", decay_rate=decay_rate)

    def schedule(step: Step) -> Rate:
        periods = _real(step) / decay_steps
        periods = jnp.floor(periods) if staircase else periods
        return initial_learning_rate / (1 + decay_rate * periods)

    return schedule


def polynomial_decay(
    initial_learning_rate: float,
    decay_steps: int,
    end_learning_rate: float = 1e-4,
    power: float = 1.0,
    *,
    cycle: bool = False,
) -> optax.Schedule:
    """Decay from one rate to another by a power of the fraction of steps that remain.

    Args:
        initial_learning_rate: Rate at step 0, at least 0.
        decay_steps: Length of the decay, at least 1.
        end_learning_rate: Rate at the end of the decay and after it, at least 0.
        power: Exponent, above 0; 1 for a linear decay.
        cycle: Whether to extend the decay by another `decay_steps` each time its end is
            reached, instead of staying at the final rate.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> float(polynomial_decay(1.0, 10, 0.5)(5))
        0.75
    """
    require_whole("[1, inf)", decay_steps=decay_steps)
    rates = {
        "initial_learning_rate": initial_learning_rate,
        "end_learning_rate": end_learning_rate,
    }
    require_number("[0, inf)", **rates)
    require_number("(0, inf)", power=power)

    def schedule(step: Step) -> Rate:
        now, length = _real(step), float(decay_steps)
        if cycle:
            length = length * jnp.maximum(1.0, jnp.ceil(now / decay_steps))
        left = 1 - jnp.minimum(now, length) / length
        span = initial_learning_rate - end_learning_rate
        return span * left**power + end_learning_rate

    return schedule


def piecewise_constant_decay(
    boundaries: Sequence[int], values: Sequence[float]
) -> optax.Schedule:
    """Return `values[i]` up to and including step `boundaries[i]`, then the next value.

    Args:
        boundaries: Steps, in increasing order.
        values: Rates, at least 0, one more than there are boundaries.

    Raises:
        ValueError: If the number of values is not one more than that of boundaries, the
            boundaries do not increase, or a number is out of range.

    Example:
        >>> [float(piecewise_constant_decay([10], [1.0, 0.5])(t)) for t in (10, 11)]
        [1.0, 0.5]
    """
    if len(values) != len(boundaries) + 1:
        raise ValueError(
            f"{len(boundaries)} boundaries need {len(boundaries) + 1} values, "
            f"not {len(values)}."
        )

    for place, boundary in enumerate(boundaries):
        require_whole("[0, inf)", **{f"boundaries[{place}]": boundary})
    for place, value in enumerate(values):
        require_number("[0, inf)", **{f"values[{place}]": value})
    if list(boundaries) != sorted(set(boundaries)):
        raise ValueError(f"boundaries={list(boundaries)} must increase.")
    constants = [optax.constant_schedule(value) for value in values]
    return optax.join_schedules(constants, [step + 1 for step in boundaries])


def cosine_decay(
    initial_learning_rate: float,
    decay_steps: int,
    alpha: float = 0.0,
    *,
    warmup_target: float | None = None,
    warmup_steps: int = 0,
) -> optax.Schedule:
    """Decay along half a cosine (Loshchilov & Hutter, 2017, arXiv:1608.03983).

    Args:
        initial_learning_rate: Rate at step 0, at least 0.
        decay_steps: Length of the decay, at least 1.
        alpha: Final rate, as a fraction of the highest rate, at least 0.
        warmup_target: Rate at the end of a linear warm-up; None for no warm-up.
        warmup_steps: Length of the warm-up, which precedes the decay.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> round(float(cosine_decay(1.0, 10)(5)), 4)
        0.5
    """
    require_whole("[1, inf)", decay_steps=decay_steps)
    require_whole("[0, inf)", warmup_steps=warmup_steps)
    require_number("[0, inf)", initial_learning_rate=initial_learning_rate, alpha=alpha)
    require_number("(0, inf) or None", warmup_target=warmup_target)
    if warmup_target is None:
        return optax.cosine_decay_schedule(initial_learning_rate, decay_steps, alpha)
    rise = optax.linear_schedule(initial_learning_rate, warmup_target, warmup_steps)
    fall = optax.cosine_decay_schedule(warmup_target, decay_steps, alpha)
    return optax.join_schedules([rise, fall], [warmup_steps])


def cosine_decay_restarts(
    initial_learning_rate: float,
    first_decay_steps: int,
    t_mul: float = 2.0,
    m_mul: float = 1.0,
    alpha: float = 0.0,
) -> optax.Schedule:
    """Decay along repeated half cosines (SGDR; Loshchilov & Hutter, 2017).

    Args:
        initial_learning_rate: Rate at step 0, at least 0.
        first_decay_steps: Length of the first period, at least 1.
        t_mul: Ratio of the length of each period to the previous one, at least 1.
        m_mul: Ratio of the highest rate of each period to the previous one, above 0.
        alpha: Rate at the end of a period, as a fraction of the initial rate, at least
            0.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> schedule = cosine_decay_restarts(1.0, 10)
        >>> [round(float(schedule(step)), 4) for step in (5, 10, 20)]
        [0.5, 1.0, 0.5]
    """
    require_whole("[1, inf)", first_decay_steps=first_decay_steps)
    require_number("(0, inf)", initial_learning_rate=initial_learning_rate, m_mul=m_mul)
    require_number("[1, inf)", t_mul=t_mul)
    require_number("[0, inf)", alpha=alpha)

    def schedule(step: Step) -> Rate:
        done = _real(step) / first_decay_steps
        if t_mul == 1.0:
            period = jnp.floor(done)
            fraction = done - period
        else:  # the periods are a geometric series
            period = jnp.floor(jnp.log(1 - done * (1 - t_mul)) / math.log(t_mul))
            before = (1 - t_mul**period) / (1 - t_mul)
            fraction = (done - before) / t_mul**period
        cosine = 0.5 * m_mul**period * (1 + jnp.cos(math.pi * fraction))
        return initial_learning_rate * ((1 - alpha) * cosine + alpha)

    return schedule


def _real(step: Step) -> Float[Array, ""]:
    return jnp.asarray(step, float)

"""Keras' learning-rate schedules, as functions of the step.

The rate at step `t` is used in the update that makes step `t + 1`. Each function
returns a schedule that any optimizer of optax or of `fdl.keras` takes.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import optax
from jaxtyping import Float

from fdl.arrays import Array

Step = Any
"""Number of updates made so far, on the host or on a device."""

Rate = Any
"""A learning rate, likewise."""


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
        decay_steps: Steps in which the rate is multiplied by `decay_rate`, at least 1.
        decay_rate: Factor, above 0.
        staircase: Whether the rate changes only every `decay_steps` steps.

    Raises:
        ValueError: If `decay_steps` is below 1.

    Example:
        >>> float(exponential_decay(1.0, 10, 0.5)(20))
        0.25
    """
    _require_steps(decay_steps=decay_steps)

    def schedule(step: Step) -> Rate:
        periods = _periods(step, decay_steps, staircase)
        return initial_learning_rate * decay_rate**periods

    return schedule


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
        decay_steps: Unit of time, in steps, at least 1.
        decay_rate: What the divisor grows by in that time.
        staircase: Whether the rate changes only every `decay_steps` steps.

    Raises:
        ValueError: If `decay_steps` is below 1.

    Example:
        >>> float(inverse_time_decay(1.0, 10, 0.5)(20))
        0.5
    """
    _require_steps(decay_steps=decay_steps)

    def schedule(step: Step) -> Rate:
        periods = _periods(step, decay_steps, staircase)
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
    """Go from one rate to another in `decay_steps`, as a power of the time left.

    Args:
        initial_learning_rate: Rate at step 0.
        decay_steps: Length of the way, at least 1.
        end_learning_rate: Rate at its end and after.
        power: Exponent; 1 for a straight line.
        cycle: Whether to make the way longer by another `decay_steps` whenever its end
            is reached, instead of staying there.

    Raises:
        ValueError: If `decay_steps` is below 1.

    Example:
        >>> float(polynomial_decay(1.0, 10, 0.5)(5))
        0.75
    """
    _require_steps(decay_steps=decay_steps)

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
    """Return `values[i]` up to and including step `boundaries[i]`, then the next.

    Args:
        boundaries: Steps, in increasing order.
        values: Rates, one more than boundaries.

    Raises:
        ValueError: If the numbers of boundaries and values do not fit.

    Example:
        >>> [float(piecewise_constant_decay([10], [1.0, 0.5])(t)) for t in (10, 11)]
        [1.0, 0.5]
    """
    if len(values) != len(boundaries) + 1:
        raise ValueError(
            f"{len(boundaries)} boundaries need {len(boundaries) + 1} values, "
            f"not {len(values)}."
        )

    def schedule(step: Step) -> Rate:
        passed = jnp.sum(jnp.asarray(step) > jnp.asarray(boundaries))
        return jnp.asarray(values)[passed]

    return schedule


def cosine_decay(
    initial_learning_rate: float,
    decay_steps: int,
    alpha: float = 0.0,
    *,
    warmup_target: float | None = None,
    warmup_steps: int = 0,
) -> optax.Schedule:
    """Come down along half a cosine (Loshchilov & Hutter, 2017, arXiv:1608.03983).

    Args:
        initial_learning_rate: Rate at step 0.
        decay_steps: Length of the way down, at least 1.
        alpha: What is left at its end, as a fraction of the highest rate.
        warmup_target: Rate to rise to first, along a line; None for no rise.
        warmup_steps: Length of that rise, which comes before `decay_steps`.

    Raises:
        ValueError: If `decay_steps` is below 1.

    Example:
        >>> round(float(cosine_decay(1.0, 10)(5)), 4)
        0.5
    """
    _require_steps(decay_steps=decay_steps)
    rise = 0 if warmup_target is None else warmup_steps
    top = initial_learning_rate if warmup_target is None else warmup_target

    def schedule(step: Step) -> Rate:
        now = jnp.minimum(_real(step), float(decay_steps + rise))
        cosine = 0.5 * (1 + jnp.cos(math.pi * (now - rise) / decay_steps))
        down = top * ((1 - alpha) * cosine + alpha)
        if not rise:
            return down
        up = initial_learning_rate + (top - initial_learning_rate) * now / rise
        return jnp.where(now < rise, up, down)

    return schedule


def cosine_decay_restarts(
    initial_learning_rate: float,
    first_decay_steps: int,
    t_mul: float = 2.0,
    m_mul: float = 1.0,
    alpha: float = 0.0,
) -> optax.Schedule:
    """Half cosines one after the other (SGDR; Loshchilov & Hutter, 2017).

    Args:
        initial_learning_rate: Rate at step 0.
        first_decay_steps: Length of the first period, at least 1.
        t_mul: Each period's length, as a multiple of the one before, at least 1.
        m_mul: Each period's highest rate, likewise.
        alpha: What is left at a period's end, as a fraction of the initial rate.

    Raises:
        ValueError: If `first_decay_steps` is below 1.

    Example:
        >>> schedule = cosine_decay_restarts(1.0, 10)
        >>> [round(float(schedule(step)), 4) for step in (5, 10, 20)]
        [0.5, 1.0, 0.5]
    """
    _require_steps(first_decay_steps=first_decay_steps)

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


def _periods(step: Step, length: int, whole: bool) -> Float[Array, ""]:
    periods = _real(step) / length
    return jnp.floor(periods) if whole else periods


def _require_steps(**lengths: int) -> None:
    for name, length in lengths.items():
        if length < 1:
            raise ValueError(f"{name}={length} must be at least 1.")

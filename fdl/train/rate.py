"""The learning-rate range test."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int

from fdl.arrays import PyTree, Seed, as_key
from fdl.learner import Learner, State
from fdl.programs import program
from fdl.ranges import require_number, require_whole
from fdl.train.parts import (
    Fetched,
    check_part,
    fetched,
    first_of,
    look_at,
    num_examples,
)
from fdl.train.steps import Step, draw_order, key_words

_SMOOTHED = 0.95  # decay of the moving average of the loss
_DIVERGED = 4.0  # times the lowest loss: beyond this, rates are too large


class RateTest(NamedTuple):
    """The result of a learning-rate range test, up to where the loss diverged.

    Attributes:
        rates: The learning rates, in increasing order.
        losses: The loss of the batch at each rate, before its update.
        smoothed: A moving average of the losses, corrected for its initial bias.
        suggestion: The rate at which the smoothed loss falls fastest: a good peak rate
            for a schedule.
    """

    rates: Float[np.ndarray, " steps"]
    losses: Float[np.ndarray, " steps"]
    smoothed: Float[np.ndarray, " steps"]
    suggestion: float


def find_rate(
    learner: Learner,
    data: PyTree,
    *,
    batch_size: int,
    key: Seed,
    low: float = 1e-6,
    high: float = 1.0,
    steps: int = 200,
) -> RateTest:
    """Train for a few steps with a learning rate that grows at each step.

    The learning-rate range test (Smith, 2017, arXiv:1506.01186), with exponentially
    growing rates, in one compiled program.

    Args:
        learner: A learner of `fdl.tunable` with the hyperparameter `learning_rate` and
            the metric `loss`.
        data: Training examples, as for `fit`.
        batch_size: Examples per update.
        key: Random key of the initial parameters and of the order of the data.
        low: The first rate, above 0.
        high: The last rate, above `low`.
        steps: Number of updates, at least 10.

    Raises:
        DataError: As for `fit`.
        ValueError: If a number is out of range, the learner has no such hyperparameter
            or metric, or the loss is not finite from the beginning.

    Example:
        >>> import fdl
        >>> def make_learner(hparams):
        ...     adam = fdl.keras.adam(hparams["learning_rate"])
        ...     model = fdl.models.MLP(10)
        ...     return fdl.learners.supervised(model, fdl.losses.cross_entropy, adam)
        >>> learner = fdl.tunable(make_learner, {"learning_rate": 1e-3})
        >>> train = fdl.data.load("mnist-5k").train
        >>> found = find_rate(learner, train, batch_size=64, key=0)
        >>> 1e-5 < found.suggestion < 1e-1
        True
    """
    require_number("(0, inf)", low=low, high=high)
    if not low < high:
        raise ValueError(f"low={low} must be below high={high}.")
    require_whole("[10, inf)", steps=steps)
    if not isinstance(learner.hparams, dict) or "learning_rate" not in learner.hparams:
        raise ValueError(
            "the learner has no hyperparameter 'learning_rate' in its state: make it "
            "with fdl.tunable(make_learner, {'learning_rate': ...})."
        )
    key = as_key(key)
    data = fetched(data)
    check_part(data, batch_size=batch_size)
    state = learner.init(key, first_of(data))
    look_at(data, functools.partial(learner.check, state))
    rates = np.geomspace(low, high, steps)
    rows = _rows(key_words(key), num_examples(data), batch_size, steps)
    if isinstance(data, Fetched):  # only the rows that are needed
        data, rows = data.rows_and_places(rows)
    data = jax.device_put(data)
    batch = jax.tree.map(lambda x: x[:batch_size], data)
    if "loss" not in jax.eval_shape(learner.step, state, batch)[1]:
        raise ValueError("the learner has no metric 'loss', which this test needs.")
    kind = state.hparams["learning_rate"].dtype
    sums = program(_climb, learner.step)(state, data, rows, rates.astype(kind))
    losses = np.asarray(sums.total, np.float64) / np.asarray(sums.weight)
    return _judge(rates, losses)


def _rows(
    words: Any, examples: int, batch_size: int, steps: int
) -> Int[np.ndarray, "..."]:
    """Return the rows of each batch: full batches, of as many epochs as it takes."""
    each = examples // batch_size
    orders = [
        draw_order(words, epoch, examples, 0)[: each * batch_size]
        for epoch in range(-(-steps // each))
    ]
    return np.concatenate(orders).reshape(-1, batch_size)[:steps]


def _climb(step: Step, state: State, data: PyTree, rows: Any, rates: Any) -> Any:
    def one(state: State, now: Any) -> tuple[State, Any]:
        places, rate = now
        hparams = {**state.hparams, "learning_rate": rate}
        batch = jax.tree.map(lambda x: x[places], data)
        state, measured = step(state._replace(hparams=hparams), batch)
        return state, measured["loss"]

    return lax.scan(one, state, (rows, jnp.asarray(rates)))[1]


def _judge(rates: Any, losses: Any) -> RateTest:
    smoothed, average, lowest = [], 0.0, math.inf
    for place, loss in enumerate(losses):
        average = _SMOOTHED * average + (1 - _SMOOTHED) * loss
        now = average / (1 - _SMOOTHED ** (place + 1))
        lowest = min(lowest, now)
        if not math.isfinite(now) or now > lowest + (_DIVERGED - 1) * abs(lowest):
            break
        smoothed.append(now)
    count = len(smoothed)
    if count < 2:
        raise ValueError(
            f"the loss is {losses[0]} at the lowest rate, {rates[0]:g}, and diverges "
            "right after it: use a smaller `low`."
        )
    falls = np.gradient(smoothed, np.log(rates[:count]))
    # Earlier averages cover too few batches, whose differences look like slopes.
    settled = min(round(1 / (1 - _SMOOTHED)), count // 4)
    lowest_at = int(np.argmin(smoothed))
    best = settled + falls[settled : max(settled + 1, lowest_at)].argmin()
    return RateTest(
        rates[:count], losses[:count], np.array(smoothed), float(rates[best])
    )

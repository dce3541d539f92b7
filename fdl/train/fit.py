"""The training loop: a learner's step, scanned over epochs inside compiled programs."""

import functools
import time
from collections.abc import Callable
from typing import NamedTuple

import jax

from fdl.arrays import Array, Key, PyTree
from fdl.data import check
from fdl.learner import Learner, State
from fdl.metrics import Metrics, compute
from fdl.train.evaluate import check_fits, measure, warm_up
from fdl.train.steps import chunks, copy, draw_order, key_words, run_steps, zero_metrics


class Epoch(NamedTuple):
    """One line of a run's history.

    Attributes:
        epoch: Number of passes over the training data made so far, from 1.
        step: Number of updates made so far.
        train: Training metrics by name, averaged over the epoch while it went on.
        eval: Metrics on the evaluation data after the epoch; empty if there are none.
        seconds: Wall-clock time of the epoch, evaluation included, compilation not.
    """

    epoch: int
    step: int
    train: dict[str, float]
    eval: dict[str, float]
    seconds: float


class Fit(NamedTuple):
    """What `fit` returns.

    Attributes:
        state: The trained state.
        history: One `Epoch` for each pass over the data.
        seconds: Wall-clock time by what it was spent on: `compile`, `train`, `eval`.
    """

    state: State
    history: tuple[Epoch, ...]
    seconds: dict[str, float]


class DivergenceError(ArithmeticError):
    """Training met a loss or a parameter that is not finite.

    Attributes:
        step: Index of the first bad update, from 0.
        state: The last good state: parameters are finite, as before that update.
        history: The epochs completed before.
    """

    def __init__(self, step: int, state: State, history: tuple[Epoch, ...]) -> None:
        """Keep what there is."""
        super().__init__(
            f"training diverged: a metric or parameter is not finite at step {step}; "
            "try a smaller learning rate."
        )
        self.step = step
        self.state = state
        self.history = history


def fit(
    learner: Learner,
    data: PyTree,
    *,
    epochs: int,
    batch_size: int,
    key: Key,
    order_key: Key | None = None,
    eval_data: PyTree | None = None,
    state: State | None = None,
    steps_per_chunk: int | None = None,
    on_chunk: Callable[[int, dict[str, float]], None] | None = None,
    on_epoch: Callable[[Epoch, State], None] | None = None,
) -> Fit:
    """Train a learner on a data set that fits into the device's memory.

    The data move to the device once; in a loop of calls, `jax.device_put` them before
    it, and they stay there. Each epoch visits them in a new order, drawn from
    `key` and the number of the epoch, in batches of `batch_size`; what is left over
    makes a last, smaller batch, as in Keras. The steps of an epoch run inside one
    compiled program. The same arguments give the same result.

    Args:
        learner: What to train; see `fdl.learners`.
        data: Training examples as a pytree of arrays with a common first axis, such as
            `Batch`.
        epochs: Number of passes over the data, at least 1, in total: a `state` that has
            made some of them makes the rest.
        batch_size: Examples in an update, from 1 to the number of examples.
        key: Random key of the initial parameters, the order of the data, and whatever
            the learner draws.
        order_key: Random key of the order of the data alone; None to draw it from
            `key`. Runs that are to see the same batches share one.
        eval_data: Examples to evaluate on after each epoch; None for none.
        state: Where to go on from; None to start with `learner.init`. It is not
            changed. With the `key` of the run that it is from, the run goes on as if
            it had never stopped.
        steps_per_chunk: Number of steps between reports, at least 1; None for a whole
            epoch. Does not change the result.
        on_chunk: Called after each chunk with the number of updates made so far and the
            epoch's training metrics so far.
        on_epoch: Called after each epoch with its line and the state, which is only
            valid during the call.

    Returns:
        The trained state, the history, and where the time went.

    Raises:
        DataError: If the data are empty, ragged, not finite, smaller than a batch, or
            have labels that the model has no class for.
        DivergenceError: If a loss or a parameter is no longer finite; it carries the
            step and the last good state.
        ValueError: If a number is out of range.

    Example:
        >>> import fdl, numpy as np, optax
        >>> learner = fdl.learners.supervised(
        ...     fdl.models.MLP(10), fdl.losses.cross_entropy, optax.adam(1e-2)
        ... )
        >>> data = fdl.Batch(np.eye(10).reshape(10, 5, 2, 1), np.arange(10))
        >>> run = fit(learner, data, epochs=50, batch_size=4, key=jax.random.key(0))
        >>> int(run.state.step), run.history[-1].train["accuracy"]
        (150, 1.0)
    """
    for name, number in (("epochs", epochs), ("steps_per_chunk", steps_per_chunk)):
        if number is not None and number < 1:
            raise ValueError(f"{name}={number} must be at least 1.")
    check(data, batch_size=batch_size)
    data = jax.device_put(data)
    init_key, own_order_key = jax.random.split(key)
    order_words = key_words(own_order_key if order_key is None else order_key)
    if state is None:
        one = jax.tree.map(lambda x: x[:1], data)
        now = jax.jit(learner.init)(init_key, one)
    else:
        now = copy(state)  # buffers are donated below; the caller's stay valid
    check_fits(learner, now, data)
    if eval_data is not None:
        check(eval_data)
        check_fits(learner, now, eval_data)
        eval_data = jax.device_put(eval_data)

    num_examples = len(jax.tree.leaves(data)[0])
    steps_per_epoch = -(-num_examples // batch_size)
    zeros = _zero_metrics(learner, now, jax.tree.map(lambda x: x[:batch_size], data))
    run = functools.partial(_run_steps, learner, data)

    # Programs are compiled by calling them for no steps, so that their time is known.
    started = time.perf_counter()
    order = draw_order(order_words, 0, num_examples)
    for size in {batch_size, num_examples % batch_size} - {0}:
        now, *_ = run(size, order, 0, 0, now, copy(zeros))
    if eval_data is not None:
        warm_up(learner, now, eval_data)
    jax.block_until_ready(now)
    seconds = {"compile": time.perf_counter() - started, "train": 0.0, "eval": 0.0}

    history: list[Epoch] = []
    step = int(now.step)
    for epoch in range(step // steps_per_epoch, epochs):
        started = time.perf_counter()
        order = draw_order(order_words, epoch, num_examples)
        totals = copy(zeros)
        done = step - epoch * steps_per_epoch
        longest = steps_per_chunk or steps_per_epoch
        for size, first, n in chunks(num_examples, batch_size, done, longest):
            before = copy(now)
            now, totals, bad = run(size, order, first, n, now, totals)
            if int(bad) >= 0:
                again = functools.partial(run, size, order, first)
                good = _last_good(again, before, zeros, int(bad))
                raise DivergenceError(int(bad), good, tuple(history))
            step += n
            if on_chunk is not None:
                on_chunk(step, compute(totals))
        train = compute(totals)
        trained = time.perf_counter()
        measured = {} if eval_data is None else measure(learner, now, eval_data)
        ended = time.perf_counter()
        seconds["train"] += trained - started
        seconds["eval"] += ended - trained
        line = Epoch(epoch + 1, step, train, measured, ended - started)
        history.append(line)
        if on_epoch is not None:
            on_epoch(line, now)
    return Fit(now, tuple(history), seconds)


def _last_good(
    again: Callable[[int, State, Metrics], tuple[State, Metrics, Array]],
    before: State,
    zeros: Metrics,
    bad: int,
) -> State:
    """Return the state before the update that went wrong, by making the steps again.

    A parameter that goes bad may show one step late, in the next loss: then the state
    that this loss came from is bad, and the one before it is good.
    """
    steps = bad - int(before.step)
    good, _, still_bad = again(steps, copy(before), copy(zeros))
    if int(still_bad) >= 0 and steps > 0:
        good, *_ = again(steps - 1, copy(before), copy(zeros))
    return good


_zero_metrics = jax.jit(zero_metrics, static_argnames="learner")
_run_steps = jax.jit(
    run_steps,
    static_argnames=("learner", "batch_size"),
    donate_argnames=("state", "totals"),
)

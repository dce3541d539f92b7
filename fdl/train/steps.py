"""Many training steps in one compiled program, and the order of the examples."""

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Int, Shaped, UInt

from fdl.arrays import Array, PyTree
from fdl.learner import State
from fdl.members import Each
from fdl.metrics import Metrics, add
from fdl.processes import first_says
from fdl.programs import program

Step = Callable[[State, PyTree], tuple[State, Metrics]]

Order = Int[Array, "*own examples"]
"""The order of the examples: one for all members, or one for each."""


def run_steps(
    step: Step,
    batch_size: int,
    data: PyTree,
    order: Order,
    first: Int[Array, ""] | int,
    steps: Int[Array, ""] | int,
    state: State,
    totals: Metrics,
) -> tuple[State, Metrics, Int[Array, "*members"]]:
    """Make `steps` updates on the examples from `first` on, in the given order.

    The number of steps is traced, not static, so one program serves chunks of every
    length.

    Args:
        step: A learner's step.
        batch_size: Examples per update.
        data: The examples.
        order: The order in which they are visited.
        first: Position in the order to start from.
        steps: Number of updates.
        state: The state to start from.
        totals: Metrics to add to.

    Returns:
        The state, the metrics, and each member's first non-finite step, or -1: a single
        number to read back, however many steps are made.
    """

    def body(i: Array, carry: tuple) -> tuple:
        state, totals, bad = carry
        batch = _gather(batch_size, data, order, first + i * batch_size)
        number = state.step
        # As in `zeros`, so that it is traced once; within the loop, since
        # `jax.debug_nans` calls this function without tracing it.
        state, metrics = program(step)(state, batch)
        finite = all_finite(metrics, number.ndim)
        bad = jnp.where((bad < 0) & ~finite, number, bad)
        return state, add(totals, metrics), bad

    bad = jnp.full(state.step.shape, -1, jnp.int32)
    state, totals, bad = lax.fori_loop(0, steps, body, (state, totals, bad))
    # After the last update, no later loss would show that it was bad.
    finite = all_finite((state.params, state.model_state), state.step.ndim)
    return state, totals, jnp.where((bad < 0) & ~finite, state.step - 1, bad)


def all_finite(tree: PyTree, axes: int = 0) -> Bool[Array, "*members"]:
    """Return whether all numbers are finite, for each index along the first axes.

    Example:
        >>> all_finite({"a": jnp.array([[1.0, jnp.inf], [2.0, 3.0]])}, axes=1)
        Array([False,  True], dtype=bool)
    """
    leaves = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]
    each = [jnp.all(jnp.isfinite(x), axis=tuple(range(axes, x.ndim))) for x in leaves]
    return functools.reduce(jnp.logical_and, each, jnp.bool_(True))


def _gather(
    batch_size: int, data: PyTree, order: Order, place: Int[Array, ""] | int
) -> PyTree:
    rows = lax.dynamic_slice_in_dim(order, place, batch_size, axis=-1)
    batch = jax.tree.map(lambda x: x.at[rows].get(mode="promise_in_bounds"), data)
    return Each(batch) if rows.ndim > 1 else batch


class Programs:
    """A learner's compiled training programs, each looked up once.

    A lookup compares the functions and values that the learner consists of, which takes
    about a millisecond.

    Args:
        step: The learner's step.
    """

    def __init__(self, step: Step) -> None:
        """Begin without programs."""
        self._step, self._steps, self._zeros = step, {}, None

    def zeros(
        self, batch_size: int, data: PyTree, order: Order, state: State
    ) -> Metrics:
        """Return the metrics of zero steps; nothing is computed."""
        if self._zeros is None:
            gather = functools.partial(_gather, batch_size)
            batch = jax.eval_shape(gather, data, order, 0)
            _, metrics = program(self._step).eval_shape(state, batch)
            self._zeros = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), metrics)
        return self._zeros

    def steps(self, batch_size: int) -> Any:
        """Return `run_steps` for a batch size; `state` and `totals` are donated."""
        if batch_size not in self._steps:
            self._steps[batch_size] = program(
                run_steps, self._step, batch_size, donate=(4, 5)
            )
        return self._steps[batch_size]


class Run(NamedTuple):
    """Consecutive batches of one size, from one part of the data.

    Attributes:
        part: Index of the part, such as of a bucket.
        size: Number of examples in a batch.
        first: Position of the first example in the part's order.
        steps: Number of batches.
    """

    part: int
    size: int
    first: int
    steps: int


def schedule(counts: Sequence[int], batch_size: int, epoch: int) -> list[Run]:
    """Return the batches of an epoch, in order.

    A single part makes full batches, then a smaller one of the remainder, as in Keras.
    The batches of several parts are shuffled. The sequence of parts depends on the
    epoch alone, so that members with different keys can share programs; the examples in
    each batch depend on the key.

    Example:
        >>> schedule([10], 4, epoch=0)
        [Run(part=0, size=4, first=0, steps=2), Run(part=0, size=2, first=8, steps=1)]
    """
    runs = []
    for part, count in enumerate(counts):
        full, left = divmod(count, batch_size)
        runs += [Run(part, batch_size, 0, full)] * (full > 0)
        runs += [Run(part, left, full * batch_size, 1)] * (left > 0)
    if len(counts) == 1:
        return runs
    single = [
        run._replace(first=run.first + i * run.size, steps=1)
        for run in runs
        for i in range(run.steps)
    ]
    mixed = np.random.default_rng([epoch, len(single)]).permutation(len(single))
    return [single[place] for place in mixed]


def chunks(runs: Sequence[Run], done: int, longest: int) -> Iterator[Run]:
    """Yield the batches after the first `done`, at most `longest` at a time.

    Example:
        >>> list(chunks([Run(0, 4, 0, 5)], done=2, longest=2))
        [Run(part=0, size=4, first=8, steps=2), Run(part=0, size=4, first=16, steps=1)]
    """
    for run in runs:
        for start in range(min(done, run.steps), run.steps, longest):
            steps = min(longest, run.steps - start)
            yield run._replace(first=run.first + start * run.size, steps=steps)
        done = max(0, done - run.steps)


def upto(runs: Iterable[Run], steps: int) -> Iterator[Run]:
    """Yield the first `steps` batches.

    Example:
        >>> list(upto([Run(0, 4, 0, 5), Run(0, 2, 20, 1)], 3))
        [Run(part=0, size=4, first=0, steps=3)]
    """
    for run in runs:
        if steps <= 0:
            return
        yield run._replace(steps=min(run.steps, steps))
        steps -= run.steps


def paced(
    runs: Iterable[Run],
    seconds: float | None,
    most: int | None = None,
    *,
    is_shared: bool = False,
) -> Iterator[tuple[Run, bool]]:
    """Yield runs in pieces of about `seconds`, each with whether it ends its run.

    A piece is timed until the next one is requested. The first is short, since no time
    is known yet. With None, time does not split runs. No piece crosses a multiple of
    `most` steps from the beginning of its run. If processes share steps, the first
    process keeps the time, since all must make the same number of steps.

    Example:
        >>> [(run.steps, last) for run, last in paced([Run(0, 4, 0, 12)], 1e9)]
        [(10, False), (2, True)]
    """
    longest = 10
    for run in runs:
        done = 0
        while done < run.steps:
            steps = run.steps - done if seconds is None else longest
            steps = min(steps, run.steps - done)
            if most is not None:
                steps = min(steps, most - done % most)
            started = time.perf_counter()
            place = run.first + done * run.size
            done += steps
            yield run._replace(first=place, steps=steps), done == run.steps
            if seconds is not None:
                each = (time.perf_counter() - started) / steps
                longest = max(1, int(seconds / each))
                if is_shared:
                    longest = int(first_says(str(longest)))


def key_words(key: Shaped[jax.Array, "*members"]) -> UInt[np.ndarray, "*members words"]:
    """Return the raw words of a random key, or of each of several."""
    return np.asarray(jax.random.key_data(key))


def draw_order(
    words: UInt[np.ndarray, "*members words"], epoch: int, num_examples: int, part: int
) -> Int[np.ndarray, "*members {num_examples}"]:
    """Return the order in which an epoch visits the examples, from a key's words.

    It is drawn on the host: JAX would sort random numbers, which on CPU takes forty
    times as long, or a sixth of an epoch of a small model.
    """
    if words.ndim > 1:
        return np.stack([draw_order(one, epoch, num_examples, part) for one in words])
    # The first part is ordered as if it were the only one.
    seed: list[Any] = [*words, epoch, *([part] if part else [])]
    return np.random.default_rng(seed).permutation(num_examples).astype(np.int32)


@jax.jit
def copy(tree: PyTree) -> PyTree:
    """Return a copy, whose memory a program may then take over."""
    return jax.tree.map(jnp.copy, tree)


@jax.jit
def _where(chosen: Bool[Array, "*members"], one: PyTree, other: PyTree) -> PyTree:
    def pick(x: Array, y: Array) -> Array:
        axes = tuple(range(chosen.ndim, x.ndim))
        return jnp.where(jnp.expand_dims(chosen, axes), x, y)

    return jax.tree.map(pick, one, other)


def choose(chosen: Bool[np.ndarray, "*members"], one: PyTree, other: PyTree) -> PyTree:
    """Return one state for the chosen members, the other for the rest.

    The result is a copy.
    """
    if chosen.all():
        return copy(one)
    return _where(chosen, one, other) if chosen.any() else copy(other)

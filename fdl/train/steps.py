"""The steps of an epoch inside one program: what training one and many share."""

import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Bool, Int, Shaped, UInt

from fdl.arrays import Array, PyTree
from fdl.learner import Learner, State
from fdl.metrics import Metrics, add


def run_steps(
    learner: Learner,
    data: PyTree,
    batch_size: int,
    order: Int[Array, " examples"],
    first: Int[Array, ""] | int,
    steps: Int[Array, ""] | int,
    state: State,
    totals: Metrics,
) -> tuple[State, Metrics, Int[Array, ""]]:
    """Make `steps` updates on the examples from `first` on, in the given order.

    The number of steps is an argument of the program, not part of it, so one program
    serves chunks of every length. The third result is the first step that was not
    finite, or -1: one number to read back, whatever the number of steps.
    """

    def body(i: Array, carry: tuple) -> tuple:
        state, totals, bad = carry
        rows = lax.dynamic_slice(order, (first + i * batch_size,), (batch_size,))
        batch = jax.tree.map(lambda x: x.at[rows].get(mode="promise_in_bounds"), data)
        step = state.step
        state, metrics = learner.step(state, batch)
        bad = jnp.where((bad < 0) & ~all_finite(metrics), step, bad)
        return state, add(totals, metrics), bad

    state, totals, bad = lax.fori_loop(0, steps, body, (state, totals, jnp.int32(-1)))
    # The last update has no later loss to betray it.
    finite = all_finite((state.params, state.batch_stats))
    return state, totals, jnp.where((bad < 0) & ~finite, state.step - 1, bad)


def all_finite(tree: PyTree) -> Bool[Array, ""]:
    """Return whether all numbers in a tree are finite."""
    leaves = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.inexact)]
    return functools.reduce(
        jnp.logical_and, [jnp.all(jnp.isfinite(x)) for x in leaves], jnp.bool_(True)
    )


def key_words(key: Shaped[jax.Array, "*members"]) -> UInt[np.ndarray, "*members words"]:
    """Return the numbers that a random key, or each of several, is made of."""
    return np.asarray(jax.random.key_data(key))


def draw_order(
    words: UInt[np.ndarray, " words"], epoch: int, num_examples: int
) -> Int[np.ndarray, " {num_examples}"]:
    """Return the order in which an epoch visits the examples, from a key's words.

    Drawn on the host: a device would sort random numbers, which on CPU takes forty
    times as long, a sixth of an epoch of a small model.
    """
    order = np.random.default_rng([*words, epoch]).permutation(num_examples)
    return order.astype(np.int32)


def chunks(
    num_examples: int, batch_size: int, done: int, longest: int
) -> Iterator[tuple[int, int, int]]:
    """Yield batch size, first example and number of steps of an epoch's chunks.

    `done` steps of the epoch have been made before.
    """
    full, remainder = divmod(num_examples, batch_size)
    for start in range(done, full, longest):
        yield batch_size, start * batch_size, min(longest, full - start)
    if remainder and done <= full:
        yield remainder, full * batch_size, 1


def zero_metrics(learner: Learner, state: State, batch: PyTree) -> Metrics:
    """Return what the metrics of no steps add up to."""
    shapes = jax.eval_shape(lambda s, b: learner.step(s, b)[1], state, batch)
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)


@jax.jit
def copy(tree: PyTree) -> PyTree:
    """Return the same numbers in other memory, which a program may then take over."""
    return jax.tree.map(jnp.copy, tree)

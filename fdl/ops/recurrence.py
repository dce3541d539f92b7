"""The loop of recurrent networks, and its derivative.

What does not have to wait for the state before is outside the loop. In the derivative,
which is a loop of its own with linear steps, these are the slopes of all steps at once,
and the recurrent kernel's gradient as one product over all steps.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Bool, Float

from fdl.arrays import Array, PyTree
from fdl.ops.dense import by_kernel
from fdl.ops.windows import Implementation, resolve


class RNNOutput(NamedTuple):
    """What a recurrent layer computes: all that Keras returns in any of its modes.

    Attributes:
        outputs: Output of each step, `(*batch, time, features)`, in the order of the
            inputs. Keras' default, without `return_sequences`, is the one computed
            last: `outputs[..., -1, :]`, or `outputs[..., 0, :]` of a reversed layer.
        state: State after the last step: `(*batch, features)`, or the layer's own named
            tuple. As `initial_state` of the next piece of a sequence it goes on where
            this one ends, as Keras does when `stateful`.
    """

    outputs: Array
    state: PyTree


class Cell(NamedTuple):
    """A recurrent network's step, and its derivative.

    Both act on each element of the state by itself: only `u = h[t-1] recurrent_kernel`,
    which is done outside, mixes them.

    Attributes:
        step: `(state, z, u) -> state, kept`, where the derivative needs what is kept.
        slopes: `(states before, states after, kept) -> slopes`, of all steps at once.
        follow: `(dstate, dz, du, slopes) -> dstate`: the step's derivative, linear in
            all but the slopes.
    """

    step: Callable[[PyTree, Array, Array], tuple[PyTree, PyTree]]
    slopes: Callable[[PyTree, PyTree, PyTree], PyTree]
    follow: Callable[[PyTree, Array, Array, PyTree], PyTree]


def unroll(
    cell: Cell,
    z: Float[Array, "time *batch gates"],
    recurrent_kernel: Float[Array, "features gates"],
    bias: Float[Array, " gates"] | None,
    state: PyTree,
    mask: Bool[Array, "*batch time"] | None,
    reverse: bool,
    implementation: Implementation | None = None,
) -> RNNOutput:
    """Apply a cell along the time axis, skipping what is masked.

    `implementation` is `"gemm"` for the derivative of this file, `"xla"` for JAX's
    derivative of the loop; None is the first, which is the faster one everywhere.
    """
    real = None if mask is None else jnp.moveaxis(mask, -1, 0)[..., None]
    inputs = (cell, reverse, z, recurrent_kernel, bias, state, real)
    if resolve(implementation, gemm_on=("cpu", "gpu", "tpu")) == "xla":
        states, _ = _recur_and_keep(*inputs)
    else:
        states = _recur(*inputs)
    return finish(states, state, mask, reverse)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _recur(
    cell: Cell,
    reverse: bool,
    z: Float[Array, "time *batch gates"],
    kernel: Float[Array, "features gates"],
    bias: Float[Array, " gates"] | None,
    state: PyTree,
    real: Bool[Array, "time *batch 1"] | None,
) -> PyTree:
    """Return the states after all steps."""
    states, _ = _recur_and_keep(cell, reverse, z, kernel, bias, state, real)
    return states


def _recur_and_keep(
    cell: Cell,
    reverse: bool,
    z: Array,
    kernel: Array,
    bias: Array | None,
    state: PyTree,
    real: Array | None,
) -> tuple[PyTree, PyTree]:
    def advance(state: PyTree, now: tuple[Array, Array | None]) -> tuple[PyTree, Any]:
        z, real = now
        u = add_bias(_output(state) @ kernel, bias)
        new, kept = cell.step(state, z, u)
        new = where_real(real, new, state)
        return new, (new, kept)

    return loop(advance, state, (z, real), reverse)[1]


@_recur.defjvp
def _recur_jvp(
    cell: Cell, reverse: bool, primals: tuple, tangents: tuple
) -> tuple[PyTree, PyTree]:
    z, kernel, bias, state, real = primals
    dz, dkernel, dbias, dstate, _ = tangents
    after, kept = _recur_and_keep(cell, reverse, z, kernel, bias, state, real)
    before = jax.tree.map(lambda first, all: _shift(first, all, reverse), state, after)
    slopes = cell.slopes(before, after, kept)
    # Where the kernel's gradient is asked for, this is what becomes one product.
    du = add_bias(by_kernel(_output(before), dkernel), dbias)

    def advance(dstate: PyTree, now: tuple) -> tuple[PyTree, PyTree]:
        dz, du, slopes, real = now
        new = cell.follow(dstate, dz, du + _output(dstate) @ kernel, slopes)
        new = where_real(real, new, dstate)
        return new, new

    _, dafter = loop(advance, dstate, (dz, du, slopes, real), reverse)
    return after, dafter


def loop(
    step: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]],
    start: PyTree,
    inputs: PyTree,
    reverse: bool,
) -> tuple[PyTree, PyTree]:
    """Return the last state and what all steps return, as `lax.scan` does."""
    # A GPU waits for the host in each round of a loop, so its rounds are four steps:
    # an LSTM is 1.6 times as fast. All steps in one would be twice as fast, and take
    # ten times as long to compile.
    unroll = 4 if jax.default_backend() == "gpu" else 1
    return lax.scan(step, start, inputs, reverse=reverse, unroll=unroll)


def add_bias(y: Array, bias: Array | None) -> Array:
    """Add a bias, if there is one, to all rows."""
    # Spelled out, since implicit rank promotion is an error in the tests.
    return y if bias is None else y + jnp.broadcast_to(bias, y.shape)


def _output(state: PyTree) -> Array:
    return jax.tree.leaves(state)[0]  # of every state, the output is the first array


def where_real(real: Array | None, new: PyTree, old: PyTree) -> PyTree:
    """Return what is new at real steps, and what was before at padding."""
    if real is None:
        return new
    return jax.tree.map(lambda a, b: jnp.where(real, a, b), new, old)


def _shift(first: Array, after: Array, reverse: bool) -> Array:
    """Return the states before all steps."""
    if reverse:
        return jnp.concatenate([after[1:], first[None]])
    return jnp.concatenate([first[None], after[:-1]])


def finish(
    states: PyTree, start: PyTree, mask: Array | None, reverse: bool
) -> RNNOutput:
    """Return outputs with the time axis where it belongs, and the last state."""
    state = start
    if len(_output(states)):
        state = jax.tree.map(lambda x: x[0 if reverse else -1], states)
    outputs = jnp.moveaxis(_output(states), 0, -2)
    if mask is not None:
        # As in Keras, where padding comes first the output is zero, even when the
        # initial state is not.
        count = lax.cumsum(jnp.asarray(mask, int), mask.ndim - 1, reverse=reverse)
        outputs = jnp.where(count[..., None] > 0, outputs, 0)
    return RNNOutput(outputs, state)

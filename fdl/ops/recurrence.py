"""The loop of recurrent networks, and its derivative.

Whatever does not depend on the previous state is computed outside the loop. The
derivative is a second loop, with linear steps; outside it are the slopes of all steps
at once, and the gradient of the recurrent kernel as one product over all steps.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Bool, Float

from fdl.arrays import Array, PyTree
from fdl.ops.dense import dense_fast_transpose
from fdl.ops.rules import Implementation, resolve


class RNNOutput(NamedTuple):
    """The outputs and the final state of a recurrent layer.

    Attributes:
        outputs: Output of each step, `(*batch, time, features)`, in the order of the
            inputs. Without `return_sequences`, Keras returns only the last one
            computed: `outputs[..., -1, :]`, or `outputs[..., 0, :]` for a reversed
            layer.
        state: State after the last step: `(*batch, features)`, or the layer's own named
            tuple. Passed as `initial_state`, it continues with the next piece of the
            sequence, as a `stateful` layer does in Keras.
    """

    outputs: Array
    state: PyTree


class Cell(NamedTuple):
    """The step of a recurrent network, and its derivative.

    Both act on each element of the state separately. Only the product
    `u = h[t-1] recurrent_kernel`, computed by the caller, mixes them.

    Attributes:
        step: `(state, z, u) -> state, kept`; `kept` is saved for the derivative.
        slopes: `(states before, states after, kept) -> slopes`, for all steps at once.
        follow: `(dstate, dz, du, slopes) -> dstate`: the derivative of the step, linear
            in everything but the slopes.
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
    """Apply a cell along the time axis, skipping masked steps.

    `implementation` is `"tuned"` for the derivative in this file, or `"xla"` for JAX's
    derivative of the loop; None means `"tuned"`, which is faster on every platform.
    """
    real = None if mask is None else jnp.moveaxis(mask, -1, 0)[..., None]
    inputs = (cell, reverse, z, recurrent_kernel, bias, state, real)
    if resolve(implementation, tuned_on=("cpu", "gpu", "tpu")) == "xla":
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
    """Return the state after each step."""
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
    # The transpose of this product is the gradient of the kernel, over all steps.
    du = add_bias(dense_fast_transpose(_output(before), dkernel), dbias)

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
    """Run `lax.scan`, unrolled as suits the platform."""
    # A GPU waits for the host in every iteration of a loop. With four steps to an
    # iteration, an LSTM is 1.6 times as fast; fully unrolled it would be twice as fast,
    # but take ten times as long to compile.
    unroll = 4 if jax.default_backend() == "gpu" else 1
    return lax.scan(step, start, inputs, reverse=reverse, unroll=unroll)


def add_bias(y: Array, bias: Array | None) -> Array:
    """Add a bias, if there is one, to all rows."""
    # Explicit, since implicit rank promotion is an error in the tests.
    return y if bias is None else y + jnp.broadcast_to(bias, y.shape)


def _output(state: PyTree) -> Array:
    return jax.tree.leaves(state)[0]  # the output comes first in every state


def where_real(real: Array | None, new: PyTree, old: PyTree) -> PyTree:
    """Return the new state at real steps and the old one at padding."""
    if real is None:
        return new
    return jax.tree.map(lambda a, b: jnp.where(real, a, b), new, old)


def _shift(first: Array, after: Array, reverse: bool) -> Array:
    """Return the state before each step."""
    if reverse:
        return jnp.concatenate([after[1:], first[None]])
    return jnp.concatenate([first[None], after[:-1]])


def finish(
    states: PyTree, start: PyTree, mask: Array | None, reverse: bool
) -> RNNOutput:
    """Return the outputs, time axis second to last, and the last state."""
    state = start
    if len(_output(states)):
        state = jax.tree.map(lambda x: x[0 if reverse else -1], states)
    outputs = jnp.moveaxis(_output(states), 0, -2)
    if mask is not None:
        # As in Keras, the output is zero at leading padding, even if the initial state
        # is not.
        count = lax.cumsum(jnp.asarray(mask, int), mask.ndim - 1, reverse=reverse)
        outputs = jnp.where(count[..., None] > 0, outputs, 0)
    return RNNOutput(outputs, state)

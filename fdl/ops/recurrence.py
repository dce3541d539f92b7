"""The loop of recurrent networks, and its derivative.

On CPU, inputs are multiplied by their kernel within the loop: the products of all steps
at once would not fit into the caches. The derivative is a second loop, with linear
steps. Values that do not depend on the previous step are computed for all steps at once
if they fit into the caches, and otherwise also within the loop.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Bool, Float

from fdl.arrays import Array, PyTree
from fdl.ops import rules
from fdl.ops.dense import dense, dense_fast_transpose
from fdl.ops.rules import Implementation, resolve


class RNNOutput(NamedTuple):
    """The outputs and the final state of a recurrent layer.

    Attributes:
        outputs: Output of each step, `(*batch, time, features)`, in the order of the
            inputs. Without `return_sequences`, Keras returns only the last one
            computed: `outputs[..., -1, :]`, or `outputs[..., 0, :]` for a reversed
            layer.
        state: State after the last step: `(*batch, features)`, or the layer's own named
            tuple. Pass it as `initial_state` to continue with the next piece of the
            sequence, like a `stateful` layer in Keras.
    """

    outputs: Array
    state: PyTree


class Cell(NamedTuple):
    """The step of a recurrent network, and its derivative.

    Both act elementwise on the state. Only the product `u = h[t-1] recurrent_kernel`,
    computed by the caller, mixes its elements.

    Attributes:
        step: `(state, z, u) -> state, kept`; `kept` is stored for the derivative.
        slopes: `(states before, states after, kept) -> slopes`, for all steps at once.
        follow: `(dstate, dz, du, slopes) -> dstate`: the derivative of the step, linear
            in everything but the slopes.
    """

    step: Callable[[PyTree, Array, Array], tuple[PyTree, PyTree]]
    slopes: Callable[[PyTree, PyTree, PyTree], PyTree]
    follow: Callable[[PyTree, Array, Array, PyTree], PyTree]


class Weights(NamedTuple):
    """The parameters of a recurrent layer, each with the gates concatenated.

    Kernel and bias are None if inputs have already been multiplied.
    """

    kernel: Float[Array, "channels gates"] | None
    bias: Float[Array, " gates"] | None
    recurrent_kernel: Float[Array, "features gates"]
    recurrent_bias: Float[Array, " gates"] | None = None


def unroll(
    cell: Cell,
    x: Float[Array, "*batch time channels"],
    weights: Weights,
    state: PyTree,
    mask: Bool[Array, "*batch time"] | None,
    reverse: bool,
    implementation: Implementation | None = None,
) -> RNNOutput:
    """Apply a cell along the time axis, skipping masked steps.

    `implementation` is `"tuned"` for the derivative in this file, or `"xla"` for JAX's
    derivative of the loop; None means `"tuned"`, which is faster on every platform.
    """
    x = jnp.moveaxis(x, -2, 0)
    if jax.default_backend() != "cpu":  # one large product instead of many small ones
        x = multiplied(x, weights)
        weights = weights._replace(kernel=None, bias=None)
    inputs = (cell, reverse, x, weights, state, time_first(mask))
    if resolve(implementation, tuned_on=("cpu", "gpu", "tpu")) == "xla":
        return finish(*_recur_plainly(*inputs), mask, reverse)
    return finish(*_recur(*inputs), mask, reverse)


def _recur_plainly(
    cell: Cell,
    reverse: bool,
    x: Float[Array, "time *batch channels"],
    weights: Weights,
    state: PyTree,
    real: Bool[Array, "time *batch 1"] | None,
) -> tuple[PyTree, Float[Array, "time *batch features"]]:
    """Return the state after the last step, and the output of each."""
    inputs = (cell, reverse, x, weights, state, real)
    return _run(*inputs, keep=lambda state, _: _output(state))


_recur = jax.custom_jvp(_recur_plainly, nondiff_argnums=(0, 1))


@functools.partial(_recur.defjvp, symbolic_zeros=True)
def _recur_jvp(
    cell: Cell, reverse: bool, primals: tuple, tangents: tuple
) -> tuple[PyTree, PyTree]:
    x, weights, state, real = primals
    dx, dweights, dstate, _ = tangents
    dx = None if isinstance(dx, SymbolicZero) else dx  # such as that of data
    dweights, dstate = jax.tree.map(
        lambda dy, y: jnp.zeros_like(y) if isinstance(dy, SymbolicZero) else dy,
        (dweights, dstate),
        (weights, state),
    )

    inputs = (cell, reverse, x, weights, state, real)
    last, (after, kept) = _run(*inputs, keep=lambda state, kept: (state, kept))
    before = jax.tree.map(lambda first, all: _shift(first, all, reverse), state, after)

    def prepare(
        x: Array, dx: Array | None, before: PyTree, after: PyTree, kept: PyTree
    ) -> tuple[Array, Array, PyTree]:
        """Return what linear steps need besides the state, for one step or for all."""
        # The transposes of these products are the gradients of the kernels.
        dz = jnp.zeros_like(x) if dx is None else dx
        if weights.kernel is not None:
            dz = add_bias(dense_fast_transpose(x, dweights.kernel), dweights.bias)
            dz = dz if dx is None else dz + dense(dx, weights.kernel)
        du = dense_fast_transpose(_output(before), dweights.recurrent_kernel)
        du = add_bias(du, dweights.recurrent_bias)
        return dz, du, cell.slopes(before, after, kept)

    def follow(dstate: PyTree, now: tuple) -> tuple[PyTree, PyTree]:
        prepared, real = now
        dz, du, slopes = prepare(*prepared) if inside else prepared
        du = du + _output(dstate) @ weights.recurrent_kernel
        new = where_real(real, cell.follow(dstate, dz, du, slopes), dstate)
        return new, _output(new)

    needed = (x, dx, before, after, kept)
    steps = math.prod(_output(after).shape[:-1])
    gates = steps * weights.recurrent_kernel.shape[-1] * x.dtype.itemsize
    small = rules.at_most(gates, rules.PART_BYTES)
    inside = jax.default_backend() == "cpu" and not small
    if inside:  # recomputed in the transposed loop, rather than stored for it
        follow = jax.checkpoint(follow, prevent_cse=False)
    else:
        needed = prepare(*needed)
    dlast, doutputs = loop(follow, dstate, (needed, real), reverse)
    return (last, _output(after)), (dlast, doutputs)


def _run(
    cell: Cell,
    reverse: bool,
    x: Array,
    weights: Weights,
    state: PyTree,
    real: Array | None,
    keep: Callable[[PyTree, PyTree], PyTree],
) -> tuple[PyTree, PyTree]:
    """Return the last state, and `keep(state, kept)` for each step."""

    def advance(
        state: PyTree, now: tuple[Array, Array | None]
    ) -> tuple[PyTree, PyTree]:
        x, real = now
        new, kept = take_step(cell, x, weights, state)
        new = where_real(real, new, state)
        return new, keep(new, kept)

    return loop(advance, state, (x, real), reverse)


def take_step(
    cell: Cell, x: Float[Array, "*batch channels"], weights: Weights, state: PyTree
) -> tuple[PyTree, PyTree]:
    """Return the state after a step, and the values stored for the derivative."""
    z = multiplied(x, weights)
    u = add_bias(_output(state) @ weights.recurrent_kernel, weights.recurrent_bias)
    return cell.step(state, z, u)


def loop(
    step: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]],
    start: PyTree,
    inputs: PyTree,
    reverse: bool,
) -> tuple[PyTree, PyTree]:
    """Run `lax.scan`, unrolled according to the platform."""
    # A GPU waits for the host in every iteration of a loop. With four steps per
    # iteration, an LSTM is 1.6 times as fast; fully unrolled, it would be twice as fast
    # but take ten times as long to compile.
    unroll = 4 if jax.default_backend() == "gpu" else 1
    return lax.scan(step, start, inputs, reverse=reverse, unroll=unroll)


def multiplied(x: Array, weights: Weights) -> Array:
    """Return the contribution of inputs to the gates."""
    if weights.kernel is None:
        return x
    return add_bias(dense(x, weights.kernel), weights.bias)


def time_first(mask: Bool[Array, "*batch time"] | None) -> Array | None:
    """Return a mask with time as the first axis, as in the loop."""
    return None if mask is None else jnp.moveaxis(mask, -1, 0)[..., None]


def add_bias(y: Array, bias: Array | None) -> Array:
    """Add a bias to all rows, if it is not None."""
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
    state: PyTree,
    outputs: Float[Array, "time *batch features"],
    mask: Array | None,
    reverse: bool,
) -> RNNOutput:
    """Return the outputs, with time as the second-to-last axis, and the last state."""
    outputs = jnp.moveaxis(outputs, 0, -2)
    if mask is not None:
        # As in Keras, the output is zero at leading padding, even if the initial state
        # is not.
        count = lax.cumsum(jnp.asarray(mask, int), mask.ndim - 1, reverse=reverse)
        outputs = jnp.where(count[..., None] > 0, outputs, 0)
    return RNNOutput(outputs, state)

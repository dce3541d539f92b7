"""Recurrent networks as functions of arrays: one step as in its paper, and the loop.

In all of them the input's part of every step, `z = x kernel + bias`, is one matrix
product before the loop, and the loop holds only what must wait for the state before.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Bool, Float

from fdl.arrays import Array, PyTree


class LSTMState(NamedTuple):
    """What an LSTM carries from step to step, in the order of Keras' states.

    Attributes:
        h: Output of the last step, `(*batch, features)`.
        c: Content of the memory cells, `(*batch, features)`.
    """

    h: Array
    c: Array


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


def simple_rnn(
    x: Float[Array, "*batch time channels"],
    kernel: Float[Array, "channels features"],
    recurrent_kernel: Float[Array, "features features"],
    bias: Float[Array, " features"],
    h: Float[Array, "*batch features"],
    *,
    mask: Bool[Array, "*batch time"] | None = None,
    reverse: bool = False,
) -> RNNOutput:
    """Run a simple recurrent network (Elman, 1990): the loop of `fdl.nn.SimpleRNN`.

    Example:
        >>> x, one = jnp.ones((3, 1)), jnp.ones((1, 1))
        >>> simple_rnn(x, one, one, jnp.zeros(1), jnp.zeros(1)).outputs[:, 0]
        Array([0.7615942 , 0.9426808 , 0.95974606], dtype=float32)
    """

    def step(h: Array, z: Array) -> Array:
        return jnp.tanh(z + h @ recurrent_kernel)

    return _unroll(step, h, _affine(x, kernel, bias), mask, reverse)


def lstm(
    x: Float[Array, "*batch time channels"],
    kernel: Float[Array, "channels gates"],
    recurrent_kernel: Float[Array, "features gates"],
    bias: Float[Array, " gates"],
    state: LSTMState,
    *,
    mask: Bool[Array, "*batch time"] | None = None,
    reverse: bool = False,
) -> RNNOutput:
    """Run long short-term memory (Hochreiter & Schmidhuber, 1997): `fdl.nn.LSTM`.

    The gates lie side by side in the order i, f, c, o: input, forget, cell, output.

    Example:
        >>> x, four = jnp.ones((3, 1)), jnp.ones((1, 4))
        >>> start = LSTMState(jnp.zeros(1), jnp.zeros(1))
        >>> lstm(x, four, four, jnp.zeros(4), start).state.c
        Array([1.7394876], dtype=float32)
    """

    def step(state: LSTMState, z: Array) -> LSTMState:
        i, f, c, o = jnp.split(z + state.h @ recurrent_kernel, 4, axis=-1)
        c = jax.nn.sigmoid(f) * state.c + jax.nn.sigmoid(i) * jnp.tanh(c)
        return LSTMState(h=jax.nn.sigmoid(o) * jnp.tanh(c), c=c)

    return _unroll(step, state, _affine(x, kernel, bias), mask, reverse)


def gru(
    x: Float[Array, "*batch time channels"],
    kernel: Float[Array, "channels gates"],
    recurrent_kernel: Float[Array, "features gates"],
    bias: Float[Array, "*rows gates"],
    h: Float[Array, "*batch features"],
    *,
    reset_after: bool = True,
    mask: Bool[Array, "*batch time"] | None = None,
    reverse: bool = False,
) -> RNNOutput:
    """Run gated recurrent units (Cho et al., 2014): the loop of `fdl.nn.GRU`.

    The gates lie side by side in the order z, r, h: update, reset, candidate. With
    `reset_after`, `bias` has two rows: one for the input, one for the state.

    Example:
        >>> x, three = jnp.ones((3, 1)), jnp.ones((1, 3))
        >>> gru(x, three, three, jnp.zeros((2, 3)), jnp.zeros(1)).state
        Array([0.45169663], dtype=float32)
    """

    def step_reset_after(h: Array, x: Array) -> Array:
        x_z, x_r, x_h = jnp.split(x, 3, axis=-1)
        h_z, h_r, h_h = jnp.split(_affine(h, recurrent_kernel, bias[1]), 3, axis=-1)
        z, r = jax.nn.sigmoid(x_z + h_z), jax.nn.sigmoid(x_r + h_r)
        return z * h + (1 - z) * jnp.tanh(x_h + r * h_h)

    def step_reset_before(h: Array, x: Array) -> Array:
        x_z, x_r, x_h = jnp.split(x, 3, axis=-1)
        u_z, u_r, u_h = jnp.split(recurrent_kernel, 3, axis=-1)
        z, r = jax.nn.sigmoid(x_z + h @ u_z), jax.nn.sigmoid(x_r + h @ u_r)
        return z * h + (1 - z) * jnp.tanh(x_h + (r * h) @ u_h)

    step = step_reset_after if reset_after else step_reset_before
    x = _affine(x, kernel, bias[0] if reset_after else bias)
    return _unroll(step, h, x, mask, reverse)


def _affine(x: Array, kernel: Array, bias: Array) -> Array:
    y = x @ kernel
    # Spelled out, since implicit rank promotion is an error in the tests.
    return y + jnp.broadcast_to(bias, y.shape)


def _unroll(
    step: Callable[[PyTree, Array], PyTree],
    state: PyTree,
    z: Array,
    mask: Array | None,
    reverse: bool,
) -> RNNOutput:
    """Apply `step` along the time axis, the last but one, skipping what is masked."""

    def advance(state: PyTree, now: tuple[Array, Array | None]) -> tuple[PyTree, Array]:
        z, real = now
        new = step(state, z)
        if real is not None:
            new = jax.tree.map(lambda a, b: jnp.where(real, a, b), new, state)
        h, *_ = jax.tree.leaves(new)  # of every state, the output is the first array
        return new, h

    real = None if mask is None else jnp.moveaxis(mask, -1, 0)[..., None]
    now = (jnp.moveaxis(z, -2, 0), real)
    state, outputs = lax.scan(advance, state, now, reverse=reverse)
    outputs = jnp.moveaxis(outputs, 0, -2)
    if mask is not None:
        # As in Keras, where padding comes first the output is zero, even when the
        # initial state is not.
        count = lax.cumsum(jnp.asarray(mask, int), mask.ndim - 1, reverse=reverse)
        outputs = jnp.where(count[..., None] > 0, outputs, 0)
    return RNNOutput(outputs, state)

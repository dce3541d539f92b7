"""Recurrent networks as functions of arrays: whole sequences, and single steps.

Single steps are for custom loops, such as those with attention. With
`implementation="tuned"`, the default, the loop has a custom derivative; with `"xla"`,
JAX's. A GRU with `reset_after=False` supports only `"xla"`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from fdl.arrays import Array, PyTree
from fdl.ops.recurrence import (
    Cell,
    RNNOutput,
    Weights,
    finish,
    loop,
    multiplied,
    take_step,
    time_first,
    unroll,
    where_real,
)
from fdl.ops.rules import Implementation, resolve


class LSTMState(NamedTuple):
    """The state of an LSTM, in the order of Keras.

    Attributes:
        h: Output of the last step, `(*batch, features)`.
        c: Contents of the memory cells, `(*batch, features)`.
    """

    h: Array
    c: Array


def simple_rnn(
    x: Float[Array, "*batch time channels"],
    kernel: Float[Array, "channels features"],
    recurrent_kernel: Float[Array, "features features"],
    bias: Float[Array, " features"],
    h: Float[Array, "*batch features"],
    *,
    mask: Bool[Array, "*batch time"] | None = None,
    reverse: bool = False,
    implementation: Implementation | None = None,
) -> RNNOutput:
    """Run a simple recurrent network (Elman, 1990): the loop of `fdl.nn.SimpleRNN`.

    Example:
        >>> x, one = jnp.ones((3, 1)), jnp.ones((1, 1))
        >>> simple_rnn(x, one, one, jnp.zeros(1), jnp.zeros(1)).outputs[:, 0]
        Array([0.7615942 , 0.9426808 , 0.95974606], dtype=float32)
    """
    weights = Weights(kernel, bias, recurrent_kernel)
    return unroll(_SIMPLE_RNN, x, weights, h, mask, reverse, implementation)


def simple_rnn_step(
    x: Float[Array, "*batch channels"],
    kernel: Float[Array, "channels features"],
    recurrent_kernel: Float[Array, "features features"],
    bias: Float[Array, " features"],
    h: Float[Array, "*batch features"],
) -> Float[Array, "*batch features"]:
    """Return the state of a simple recurrent network after one more step.

    Example:
        >>> one = jnp.ones((1, 1))
        >>> simple_rnn_step(jnp.ones(1), one, one, jnp.zeros(1), jnp.zeros(1))
        Array([0.7615942], dtype=float32)
    """
    weights = Weights(kernel, bias, recurrent_kernel)
    return take_step(_SIMPLE_RNN, x, weights, h)[0]


def lstm(
    x: Float[Array, "*batch time channels"],
    kernel: Float[Array, "channels gates"],
    recurrent_kernel: Float[Array, "features gates"],
    bias: Float[Array, " gates"],
    state: LSTMState,
    *,
    mask: Bool[Array, "*batch time"] | None = None,
    reverse: bool = False,
    implementation: Implementation | None = None,
) -> RNNOutput:
    """Run long short-term memory (Hochreiter & Schmidhuber, 1997): `fdl.nn.LSTM`.

    The gates are concatenated in the order i, f, c, o: input, forget, cell, output.

    Example:
        >>> x, four = jnp.ones((3, 1)), jnp.ones((1, 4))
        >>> start = LSTMState(jnp.zeros(1), jnp.zeros(1))
        >>> lstm(x, four, four, jnp.zeros(4), start).state.c
        Array([1.7394876], dtype=float32)
    """
    weights = Weights(kernel, bias, recurrent_kernel)
    return unroll(_LSTM, x, weights, state, mask, reverse, implementation)


def lstm_step(
    x: Float[Array, "*batch channels"],
    kernel: Float[Array, "channels gates"],
    recurrent_kernel: Float[Array, "features gates"],
    bias: Float[Array, " gates"],
    state: LSTMState,
) -> LSTMState:
    """Return the state of an LSTM after one more step; see `lstm`.

    Example:
        >>> four = jnp.ones((1, 4))
        >>> start = LSTMState(jnp.zeros(1), jnp.zeros(1))
        >>> h, c = lstm_step(jnp.ones(1), four, four, jnp.zeros(4), start)
        >>> round(float(c[0]), 5)
        0.55677
    """
    weights = Weights(kernel, bias, recurrent_kernel)
    return take_step(_LSTM, x, weights, state)[0]


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
    implementation: Implementation | None = None,
) -> RNNOutput:
    """Run gated recurrent units (Cho et al., 2014): the loop of `fdl.nn.GRU`.

    The gates are concatenated in the order z, r, h: update, reset, candidate. With
    `reset_after`, `bias` has two rows: one for the input, one for the state.

    Raises:
        ValueError: If `implementation` is unknown, or `"tuned"` without `reset_after`.

    Example:
        >>> x, three = jnp.ones((3, 1)), jnp.ones((1, 3))
        >>> gru(x, three, three, jnp.zeros((2, 3)), jnp.zeros(1)).state
        Array([0.45169663], dtype=float32)
    """
    if not reset_after:
        if resolve(implementation, tuned_on=()) == "tuned":
            raise ValueError(
                "implementation='tuned' does not support reset_after=False: use 'xla' "
                "or None."
            )
        weights = Weights(kernel, bias, recurrent_kernel)
        return _unroll_reset_before(x, weights, h, mask, reverse)
    weights = Weights(kernel, bias[0], recurrent_kernel, bias[1])
    return unroll(_GRU, x, weights, h, mask, reverse, implementation)


def gru_step(
    x: Float[Array, "*batch channels"],
    kernel: Float[Array, "channels gates"],
    recurrent_kernel: Float[Array, "features gates"],
    bias: Float[Array, "*rows gates"],
    h: Float[Array, "*batch features"],
    *,
    reset_after: bool = True,
) -> Float[Array, "*batch features"]:
    """Return the state of gated recurrent units after one more step; see `gru`.

    Example:
        >>> three = jnp.ones((1, 3))
        >>> gru_step(jnp.ones(1), three, three, jnp.zeros((2, 3)), jnp.zeros(1))
        Array([0.20482421], dtype=float32)
    """
    if not reset_after:
        weights = Weights(kernel, bias, recurrent_kernel)
        parts = jnp.split(recurrent_kernel, 3, axis=-1)
        return _reset_before_step(h, multiplied(x, weights), parts)
    weights = Weights(kernel, bias[0], recurrent_kernel, bias[1])
    return take_step(_GRU, x, weights, h)[0]


def _simple_rnn_step(h: Array, z: Array, u: Array) -> tuple[Array, None]:
    return jnp.tanh(z + u), None


_SIMPLE_RNN = Cell(
    step=_simple_rnn_step,
    slopes=lambda before, h, kept: 1 - h**2,
    follow=lambda dh, dz, du, slope: slope * (dz + du),
)


def _lstm_step(state: LSTMState, z: Array, u: Array) -> tuple[LSTMState, Array]:
    i, f, c, o = jnp.split(z + u, 4, axis=-1)
    i, f, o = jax.nn.sigmoid(i), jax.nn.sigmoid(f), jax.nn.sigmoid(o)
    candidate = jnp.tanh(c)
    c = f * state.c + i * candidate
    gates = jnp.concatenate([i, f, candidate, o], axis=-1)
    return LSTMState(h=o * jnp.tanh(c), c=c), gates


def _lstm_slopes(before: LSTMState, after: LSTMState, gates: Array) -> PyTree:
    i, f, candidate, o = jnp.split(gates, 4, axis=-1)
    out = jnp.tanh(after.c)
    four = [
        candidate * i * (1 - i),
        before.c * f * (1 - f),
        i * (1 - candidate**2),
        out * o * (1 - o),
    ]
    return jnp.concatenate(four, axis=-1), f, o * (1 - out**2)


def _lstm_follow(dstate: LSTMState, dz: Array, du: Array, slopes: PyTree) -> LSTMState:
    gates, f, out = slopes
    di, df, dcandidate, do = jnp.split(gates * (dz + du), 4, axis=-1)
    dc = f * dstate.c + di + df + dcandidate
    return LSTMState(h=out * dc + do, c=dc)


_LSTM = Cell(_lstm_step, _lstm_slopes, _lstm_follow)


def _gru_step(h: Array, x: Array, u: Array) -> tuple[Array, Array]:
    x_z, x_r, x_h = jnp.split(x, 3, axis=-1)
    u_z, u_r, u_h = jnp.split(u, 3, axis=-1)
    z, r = jax.nn.sigmoid(x_z + u_z), jax.nn.sigmoid(x_r + u_r)
    candidate = jnp.tanh(x_h + r * u_h)
    kept = jnp.concatenate([z, r, candidate, u_h], axis=-1)
    return z * h + (1 - z) * candidate, kept


def _gru_slopes(before: Array, after: Array, kept: Array) -> PyTree:
    z, r, candidate, u_h = jnp.split(kept, 4, axis=-1)
    inner = (1 - z) * (1 - candidate**2)
    gates = [(before - candidate) * z * (1 - z), inner * u_h * r * (1 - r)]
    of_x = jnp.concatenate([*gates, inner], axis=-1)
    of_u = jnp.concatenate([*gates, inner * r], axis=-1)
    return of_x, of_u, z


def _gru_follow(dh: Array, dx: Array, du: Array, slopes: PyTree) -> Array:
    of_x, of_u, z = slopes
    return z * dh + sum(jnp.split(of_x * dx + of_u * du, 3, axis=-1))


_GRU = Cell(_gru_step, _gru_slopes, _gru_follow)


def _unroll_reset_before(
    x: Array, weights: Weights, h: Array, mask: Array | None, reverse: bool
) -> RNNOutput:
    """Run the GRU whose reset gate acts before the product with the state."""
    parts = jnp.split(weights.recurrent_kernel, 3, axis=-1)

    def advance(h: Array, now: tuple[Array, Array | None]) -> tuple[Array, Array]:
        x, real = now
        new = _reset_before_step(h, multiplied(x, weights), parts)
        new = where_real(real, new, h)
        return new, new

    inputs = (jnp.moveaxis(x, -2, 0), time_first(mask))
    return finish(*loop(advance, h, inputs, reverse), mask, reverse)


def _reset_before_step(h: Array, x: Array, recurrent_kernels: Sequence[Array]) -> Array:
    u_z, u_r, u_h = recurrent_kernels
    x_z, x_r, x_h = jnp.split(x, 3, axis=-1)
    z, r = jax.nn.sigmoid(x_z + h @ u_z), jax.nn.sigmoid(x_r + h @ u_r)
    return z * h + (1 - z) * jnp.tanh(x_h + (r * h) @ u_h)

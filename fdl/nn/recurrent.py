"""Recurrent layers with Keras' parameters and treatment of masks.

Call a layer on whole sequences, or its method `step` in a loop of your own.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Bool, Float

from fdl import ops
from fdl.arrays import Array
from fdl.nn import initializers
from fdl.nn.initializers import Draw, Initializer, forget_less
from fdl.ranges import require_whole


class _Recurrent(nn.Module):
    """Base of the recurrent layers: their parameters and initial states."""

    features: int
    reverse: bool = False
    kernel_init: Initializer = "glorot_uniform"
    recurrent_init: Initializer = "orthogonal"
    bias_init: Initializer = "zeros"
    implementation: ops.Implementation | None = None

    def _create(
        self,
        channels: int,
        gates: int = 1,
        bias_rows: tuple[int, ...] = (),
        bias_init: Draw | None = None,
    ) -> tuple[Array, Array, Array]:
        """Create kernel, recurrent kernel and bias, with the gates concatenated."""
        require_whole("[1, inf)", features=self.features)
        width = gates * self.features
        return (
            self.param("kernel", initializers.get(self.kernel_init), (channels, width)),
            self.param(
                "recurrent_kernel",
                initializers.get(self.recurrent_init),
                (self.features, width),
            ),
            self.param(
                "bias",
                bias_init or initializers.get(self.bias_init),
                (*bias_rows, width),
            ),
        )

    def _start(self, x: Array, batch: tuple[Any, ...], initial: Array | None) -> Array:
        """Return the given initial state, or zeros."""
        shape = (*batch, self.features)
        if initial is None:
            return jnp.zeros(shape, x.dtype)
        if initial.shape != shape:
            raise ValueError(
                f"initial_state has shape {initial.shape}, but must have {shape} for "
                f"inputs of shape {x.shape} and {self.features} features."
            )
        return initial


class SimpleRNN(_Recurrent):
    """Simple recurrent network (Elman, 1990, Cognitive Science 14), as in Keras.

    `h[t] = tanh(x[t] kernel + h[t-1] recurrent_kernel + bias)`, and the output is `h`.

    Attributes:
        features: Width of state and output, at least 1.
        reverse: Whether to run from the last step to the first, like Keras'
            `go_backwards`, but with outputs in the order of the inputs, where Keras
            returns them reversed.
        kernel_init: Initializer of the kernel; see `fdl.nn.initializers`.
        recurrent_init: Initializer of the recurrent kernel.
        bias_init: Initializer of the bias.
        implementation: How to differentiate, see `fdl.ops.recurrent`.

    Raises:
        ValueError: If `features` is below 1 or the initial state has the wrong shape.

    Example:
        >>> import jax
        >>> layer = SimpleRNN(features=32)
        >>> x = jnp.ones((2, 7, 5))
        >>> variables = jax.eval_shape(layer.init, jax.random.key(0), x)
        >>> outputs, state = jax.eval_shape(layer.apply, variables, x)
        >>> outputs.shape, state.shape
        ((2, 7, 32), (2, 32))
    """

    def __call__(
        self,
        x: Float[Array, "*batch time channels"],
        initial_state: Float[Array, "..."] | None = None,
        *,
        mask: Bool[Array, "*batch time"] | None = None,
    ) -> ops.RNNOutput:
        """Run over a sequence; see `LSTM` for `mask` and the result."""
        return ops.simple_rnn(
            *self._given(x, x.shape[:-2], initial_state),
            mask=mask,
            reverse=self.reverse,
            implementation=self.implementation,
        )

    def step(
        self,
        x: Float[Array, "*batch channels"],
        state: Float[Array, "..."] | None = None,
    ) -> Float[Array, "*batch {self.features}"]:
        """Return the state after one more step; see `LSTM`."""
        return ops.simple_rnn_step(*self._given(x, x.shape[:-1], state))

    @nn.compact
    def _given(self, x: Array, batch: tuple[Any, ...], state: Array | None) -> Any:
        """Return input, weights and state in one type."""
        weights = self._create(x.shape[-1])
        return promote_dtype(x, *weights, self._start(x, batch, state))


class LSTM(_Recurrent):
    """Long short-term memory (Hochreiter & Schmidhuber, 1997), like Keras' `LSTM`.

    A memory cell that is erased, written and read through three gates in (0, 1):

        i, f, o = sigmoid(x[t] W + h[t-1] U + b)
        c[t] = f c[t-1] + i tanh(x[t] W_c + h[t-1] U_c + b_c)
        h[t] = o tanh(c[t])

    The forget gate f was added by Gers et al. (2000). Each parameter has the gates in
    the order i, f, c, o.

    Attributes:
        features: Width of state and output, at least 1.
        reverse: Whether to run from the last step to the first, like Keras'
            `go_backwards`, but with outputs in the order of the inputs, where Keras
            returns them reversed.
        kernel_init: Initializer of the kernel; see `fdl.nn.initializers`.
        recurrent_init: Initializer of the recurrent kernel.
        bias_init: Initializer of the bias.
        implementation: How to differentiate, see `fdl.ops.recurrent`.
        unit_forget_bias: Whether the bias of the forget gate starts at 1, regardless of
            `bias_init`, so that a cell keeps its memory at first (Jozefowicz et al.,
            2015, ICML).

    Raises:
        ValueError: If `features` is below 1 or the initial state has the wrong shape.

    Example:
        >>> import jax
        >>> layer = LSTM(features=32)
        >>> x = jnp.ones((2, 7, 5))
        >>> variables = jax.eval_shape(layer.init, jax.random.key(0), x)
        >>> outputs, (h, c) = jax.eval_shape(layer.apply, variables, x)
        >>> outputs.shape, h.shape, c.shape
        ((2, 7, 32), (2, 32), (2, 32))
    """

    unit_forget_bias: bool = True

    def __call__(
        self,
        x: Float[Array, "*batch time channels"],
        initial_state: ops.LSTMState | None = None,
        *,
        mask: Bool[Array, "*batch time"] | None = None,
    ) -> ops.RNNOutput:
        """Run over a sequence.

        Args:
            x: The sequence; any number of leading batch axes, including none.
            initial_state: State before the first step; None for zeros.
            mask: True at real steps, False at padding, which may be anywhere. Padding
                leaves the state unchanged and repeats the previous output, or zero if
                there is none.

        Returns:
            The outputs of all steps, and the state after the last real one.
        """
        return ops.lstm(
            *self._given(x, x.shape[:-2], initial_state),
            mask=mask,
            reverse=self.reverse,
            implementation=self.implementation,
        )

    def step(
        self,
        x: Float[Array, "*batch channels"],
        state: ops.LSTMState | None = None,
    ) -> ops.LSTMState:
        """Return the state after one more step.

        Use it in a custom loop, such as one with attention.

        Args:
            x: The input of the step.
            state: The state before the step; None for zeros.
        """
        return ops.lstm_step(*self._given(x, x.shape[:-1], state))

    @nn.compact
    def _given(
        self, x: Array, batch: tuple[Any, ...], state: ops.LSTMState | None
    ) -> Any:
        """Return input, weights and state in one type."""
        others = initializers.get(self.bias_init)
        start = forget_less(others) if self.unit_forget_bias else others
        weights = self._create(x.shape[-1], gates=4, bias_init=start)
        h, c = (None, None) if state is None else state
        *arrays, h, c = promote_dtype(
            x, *weights, self._start(x, batch, h), self._start(x, batch, c)
        )
        return *arrays, ops.LSTMState(h, c)


class GRU(_Recurrent):
    """Gated recurrent unit (Cho et al., 2014, arXiv:1406.1078), like Keras' `GRU`.

    An update gate z mixes the state with a candidate, which sees the state through a
    reset gate r:

        z, r = sigmoid(x[t] W + h[t-1] U + b)
        h[t] = z h[t-1] + (1 - z) tanh(x[t] W_h + r (h[t-1] U_h) + b_h)

    This is the form of cuDNN and of the first version of the paper, with a separate
    bias inside the reset gate. Each parameter has the gates in the order z, r, h.

    Attributes:
        features: Width of state and output, at least 1.
        reverse: Whether to run from the last step to the first, like Keras'
            `go_backwards`, but with outputs in the order of the inputs, where Keras
            returns them reversed.
        kernel_init: Initializer of the kernel; see `fdl.nn.initializers`.
        recurrent_init: Initializer of the recurrent kernel.
        bias_init: Initializer of the bias.
        implementation: How to differentiate, see `fdl.ops.recurrent`.
        reset_after: True for the form above, whose `bias` has two rows, one for the
            input and one for the state; False for `(r h[t-1]) U_h` and a single bias,
            as in the third version of the paper.

    Raises:
        ValueError: If `features` is below 1 or the initial state has the wrong shape.

    Example:
        >>> import jax
        >>> layer = GRU(features=32)
        >>> x = jnp.ones((2, 7, 5))
        >>> variables = jax.eval_shape(layer.init, jax.random.key(0), x)
        >>> variables["params"]["bias"].shape
        (2, 96)
        >>> jax.eval_shape(layer.apply, variables, x).outputs.shape
        (2, 7, 32)
    """

    reset_after: bool = True

    def __call__(
        self,
        x: Float[Array, "*batch time channels"],
        initial_state: Float[Array, "..."] | None = None,
        *,
        mask: Bool[Array, "*batch time"] | None = None,
    ) -> ops.RNNOutput:
        """Run over a sequence; see `LSTM` for `mask` and the result."""
        return ops.gru(
            *self._given(x, x.shape[:-2], initial_state),
            reset_after=self.reset_after,
            mask=mask,
            reverse=self.reverse,
            implementation=self.implementation,
        )

    def step(
        self,
        x: Float[Array, "*batch channels"],
        state: Float[Array, "..."] | None = None,
    ) -> Float[Array, "*batch {self.features}"]:
        """Return the state after one more step; see `LSTM`."""
        return ops.gru_step(
            *self._given(x, x.shape[:-1], state), reset_after=self.reset_after
        )

    @nn.compact
    def _given(self, x: Array, batch: tuple[Any, ...], state: Array | None) -> Any:
        """Return input, weights and state in one type."""
        rows = (2,) if self.reset_after else ()
        weights = self._create(x.shape[-1], gates=3, bias_rows=rows)
        return promote_dtype(x, *weights, self._start(x, batch, state))

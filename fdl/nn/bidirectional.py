"""Bidirectional recurrent layers."""

from typing import Literal, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Bool, Float

from fdl import ops
from fdl.arrays import Array, PyTree
from fdl.nn.recurrent import GRU, LSTM, SimpleRNN

MergeMode = Literal["concat", "sum", "mul", "ave"]
"""How to merge the outputs of both directions: concatenated, or summed, multiplied or
averaged elementwise."""


class BidirectionalState(NamedTuple):
    """The states of both directions.

    Attributes:
        forward: State of the forward layer after the last step of the sequence.
        backward: State of the backward layer after the first step, its last one.
    """

    forward: PyTree
    backward: PyTree


class Bidirectional(nn.Module):
    """Bidirectional recurrent network (Schuster & Paliwal, 1997), as in Keras.

    Two copies of a layer, `forward` and `backward`, with separate parameters. The
    second runs from the last step to the first, so that every output depends on the
    whole sequence.

    Attributes:
        layer: The layer to copy: a `SimpleRNN`, `LSTM` or `GRU`, not reversed.
        merge_mode: `"concat"` to concatenate the outputs, with twice the features;
            `"sum"`, `"mul"` or `"ave"` to combine them elementwise.

    Raises:
        ValueError: If `layer` is reversed or `merge_mode` is unknown.

    Example:
        >>> import jax
        >>> layer = Bidirectional(LSTM(features=32))
        >>> x = jnp.ones((2, 7, 5))
        >>> variables = jax.eval_shape(layer.init, jax.random.key(0), x)
        >>> outputs, state = jax.eval_shape(layer.apply, variables, x)
        >>> outputs.shape, state.backward.h.shape
        ((2, 7, 64), (2, 32))
    """

    layer: SimpleRNN | LSTM | GRU
    merge_mode: MergeMode = "concat"

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "*batch time channels"],
        initial_state: BidirectionalState | None = None,
        *,
        mask: Bool[Array, "*batch time"] | None = None,
    ) -> ops.RNNOutput:
        """Run over a sequence in both directions.

        Args:
            x: The sequence; any number of leading batch axes, including none.
            initial_state: State before the first step of each direction; None for
                zeros.
            mask: True at real steps, False at padding. Unlike that of a single
                direction, the output is zero at padding.

        Returns:
            The merged outputs, and the final states of both directions. Without
            `return_sequences`, Keras returns the merged outputs of these final states.
        """
        if self.layer.reverse:
            raise ValueError(
                f"layer={self.layer} is reversed: pass one with reverse=False, since "
                "Bidirectional creates the backward copy."
            )
        forward = self.layer.clone(parent=self, name="forward")
        backward = self.layer.clone(parent=self, name="backward", reverse=True)
        first, second = (None, None) if initial_state is None else initial_state
        ahead = forward(x, first, mask=mask)
        back = backward(x, second, mask=mask)
        outputs = _merge(ahead.outputs, back.outputs, self.merge_mode)
        if mask is not None:
            outputs = jnp.where(mask[..., None], outputs, 0)
        return ops.RNNOutput(outputs, BidirectionalState(ahead.state, back.state))


def _merge(a: Array, b: Array, mode: MergeMode) -> Array:
    match mode:
        case "concat":
            return jnp.concatenate([a, b], axis=-1)
        case "sum":
            return a + b
        case "mul":
            return a * b
        case "ave":
            return (a + b) / 2
    raise ValueError(f"merge_mode={mode!r} must be 'concat', 'sum', 'mul' or 'ave'.")

"""Recurrent classifiers of sequences (Elman, 1990; Hochreiter & Schmidhuber, 1997).

Simple RNN, LSTM and GRU (Cho et al., 2014), in any number of layers, in one or both
directions.

Parameters on 28 steps of 28 channels:

- `SimpleRNNClassifier(num_classes=10)`: 21,386
- `LSTMClassifier(num_classes=10)`: 81,674
- `GRUClassifier(num_classes=10)`: 61,962

Differences from the papers:

- The LSTM has a forget gate (Gers et al., 2000).
- The GRU's reset gate acts after the recurrent product, as in Keras.
- Dropout is applied between layers, but not between steps (Zaremba et al., 2014).
"""

from typing import Any, ClassVar, NamedTuple

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Bool, Float, Integer

from fdl import nn
from fdl.arrays import Array, Number
from fdl.ranges import require_whole

RecurrentState = tuple[Any, ...]
"""The state of each layer, from which to continue a sequence: an array
`(*batch, features)`, or for an LSTM an `fdl.nn.LSTMState` of two arrays."""


class Streamed(NamedTuple):
    """Output of a recurrent classifier after a piece of a sequence.

    Attributes:
        logits: Logits of the sequence so far, `(*batch, classes)`.
        state: State to continue from with the next piece.
    """

    logits: Array
    state: RecurrentState


class RecurrentClassifier(linen.Module):
    """Base of the classifiers below; see `LSTMClassifier`."""

    num_classes: int
    hidden_size: int = 128
    num_layers: int = 1
    bidirectional: bool = False
    dropout_rate: Number = 0.0

    LAYER: ClassVar[type[nn.SimpleRNN] | type[nn.LSTM] | type[nn.GRU]]

    def __call__(
        self,
        sequence: Float[Array, "*batch time channels"],
        mask: Bool[Array, "*batch time"] | Integer[Array, "*batch time"] | None = None,
        *,
        train: bool = False,
    ) -> Float[Array, "*batch {self.num_classes}"]:
        """Return the logits of whole sequences.

        Args:
            sequence: The sequences, padded to the same length.
            mask: True (or nonzero) at real steps; False at padding, which may be
                anywhere and has no effect. None if all steps are real. Use
                `fdl.nn.length_mask` to compute a mask from lengths.
            train: Whether to apply dropout, with the random key `dropout`.
        """
        return self._read(sequence, None, mask, train).logits

    def stream(
        self,
        sequence: Float[Array, "*batch time channels"],
        state: RecurrentState | None = None,
        mask: Bool[Array, "*batch time"] | Integer[Array, "*batch time"] | None = None,
        *,
        train: bool = False,
    ) -> Streamed:
        """Read the next piece of a sequence, continuing from a state.

        Call it as `model.apply(variables, piece, state, method="stream")`. However a
        sequence is split, the logits of the last piece are those of the whole.

        Args:
            sequence: The piece, of any number of steps.
            state: The state after the previous piece; None at the start.
            mask: As for a whole sequence.
            train: Whether to apply dropout, with the random key `dropout`.

        Raises:
            ValueError: If the model is bidirectional, or the state does not match the
                model and the batch.
        """
        if self.bidirectional:
            raise ValueError(
                "a model with bidirectional=True also reads sequences backwards, so it "
                "cannot read them in pieces: call it on the whole sequence."
            )
        if state is not None and len(state) != self.num_layers:
            raise ValueError(
                f"state has {len(state)} parts, but num_layers={self.num_layers}: pass "
                "the state returned for the previous piece, or None at the start."
            )
        return self._read(sequence, state, mask, train)

    @linen.compact
    def _read(
        self, x: Array, state: RecurrentState | None, mask: Array | None, train: bool
    ) -> Streamed:
        require_whole(
            "[1, inf)", num_classes=self.num_classes, num_layers=self.num_layers
        )
        real = None if mask is None else jnp.asarray(mask, bool)
        before = (None,) * self.num_layers if state is None else state
        after = []
        for number, start in enumerate(before, start=1):
            layer = self.LAYER(self.hidden_size, parent=None)
            if self.bidirectional:
                layer = nn.Bidirectional(layer, parent=None)
            layer = layer.clone(parent=self, name=f"layer{number}")
            x, end = layer(x, start, mask=real)
            after.append(end)
            if number == self.num_layers:
                x = _last_output(end)
            x = nn.Dropout(self.dropout_rate)(x, train=train)
        logits = nn.Dense(self.num_classes, name="head")(x)
        return Streamed(logits, tuple(after))


def _last_output(state: Any) -> Array:
    """Return the output of a layer at the last real step, from its state.

    The outputs do not contain it if the last real step was in an earlier piece.
    """
    match state:
        case nn.BidirectionalState(ahead, back):
            return jnp.concatenate([_last_output(ahead), _last_output(back)], axis=-1)
        case nn.LSTMState(h, _):
            return h
    return state


class SimpleRNNClassifier(RecurrentClassifier):
    """Classifier of sequences by simple RNN (Elman, 1990, Cognitive Science 14).

    See `LSTMClassifier` for attributes, masks and streaming.

    Example:
        >>> import jax
        >>> model = SimpleRNNClassifier(num_classes=10)
        >>> rows = jnp.ones((2, 28, 28))
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), rows)
        >>> jax.eval_shape(model.apply, variables, rows).shape
        (2, 10)
    """

    LAYER = nn.SimpleRNN


class LSTMClassifier(RecurrentClassifier):
    """Classifier of sequences by LSTM (Hochreiter & Schmidhuber, 1997).

    A stack of LSTM layers, and a dense layer on the last output of the last one: in
    Keras, LSTM layers, all but the last with `return_sequences=True`, then `Dense`.
    Dropout is applied between layers, but not between steps (Zaremba et al., 2014,
    arXiv:1409.2329).

    Attributes:
        num_classes: Number of classes, at least 2; or 1, for a single logit.
        hidden_size: Width of each layer's state and, in one direction, output.
        num_layers: Number of layers, at least 1.
        bidirectional: Whether each layer has a second one that reads from the last step
            to the first (Schuster & Paliwal, 1997). Their outputs are concatenated,
            which doubles the width.
        dropout_rate: Fraction of the outputs of each layer dropped in training, in
            [0, 1); needs the random key `dropout` if above 0.

    Raises:
        ValueError: If `num_layers` or `hidden_size` is below 1.

    Example:
        >>> import jax
        >>> model = LSTMClassifier(num_classes=10)
        >>> rows = jnp.ones((2, 28, 28))
        >>> variables = model.init(jax.random.key(0), rows)
        >>> model.apply(variables, rows).shape
        (2, 10)

        Piece by piece:

        >>> state = None
        >>> for piece in jnp.split(rows, 4, axis=1):
        ...     logits, state = model.apply(variables, piece, state, method="stream")
        >>> bool(jnp.allclose(logits, model.apply(variables, rows), atol=1e-5))
        True
    """

    LAYER = nn.LSTM


class GRUClassifier(RecurrentClassifier):
    """Classifier of sequences by GRU (Cho et al., 2014, arXiv:1406.1078).

    See `LSTMClassifier` for attributes, masks and streaming. The layer has Keras'
    default form, with the reset gate after the product.

    Example:
        >>> import jax
        >>> model = GRUClassifier(num_classes=10, bidirectional=True)
        >>> rows = jnp.ones((2, 28, 28))
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), rows)
        >>> mask = nn.length_mask(jnp.array([28, 9]), time=28)
        >>> jax.eval_shape(model.apply, variables, rows, mask).shape
        (2, 10)
    """

    LAYER = nn.GRU

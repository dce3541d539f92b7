"""Recurrent encoder-decoders (Sutskever et al., 2014; Cho et al., 2014).

Parameters of the papers' networks:

- Sutskever et al., 4 LSTMs of 1,000 units, 160,000 and 80,000 words: 384,112,000
- Cho et al., a GRU of 1,000 units, 15,000 words in 100 dimensions: 24,224,000

With the defaults, the model is "sequence to sequence learning" (Sutskever et al.,
arXiv:1409.3215): the decoder starts from the final state of every layer of the encoder,
which reads the source backwards.

With `cell="gru"`, `context="every"` and `reverse=False`, it is the encoder-decoder of
Cho et al. (arXiv:1406.1078): a tanh layer, `summary`, reads the last state of the
encoder; another, `bridge`, computes the decoder's first state from it; and the decoder
and its maxout output see the summary at every step.

Differences from the papers:

- Weights are drawn from Keras' initial distributions.
- Dropout can be applied to embeddings and between layers.
- The parameters of an LSTM store its gates in Keras' order.
- The output of Cho et al. has a bias here.
"""

from typing import Any, Literal, NamedTuple

import flax.linen as linen
import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from fdl import nn
from fdl.arrays import Array, Number
from fdl.models.deep_output import DeepOutput
from fdl.models.recurrent_translator import RecurrentTranslator
from fdl.ranges import require_whole


class EncoderDecoderCache(NamedTuple):
    """States of the decoder after the target so far, and the summary of the source.

    Attributes:
        states: State of each layer of the decoder.
        summary: Summary of the source that the decoder sees at every step,
            `(*batch, hidden_size)`; None with `context="first"`.
    """

    states: tuple[Any, ...]
    summary: Array | None


class RecurrentStack(linen.Module):
    """Stack of recurrent layers, with dropout after each.

    Attributes:
        layer: The layer to copy, `num_layers` times.
        num_layers: Number of layers, at least 1.
        dropout_rate: Fraction of the outputs of each layer dropped in training.

    Example:
        >>> stack, x = RecurrentStack(nn.GRU(8), num_layers=2), jnp.ones((3, 7, 5))
        >>> variables = jax.eval_shape(stack.init, jax.random.key(0), x)
        >>> outputs, states = jax.eval_shape(stack.apply, variables, x)
        >>> outputs.shape, len(states)
        ((3, 7, 8), 2)
    """

    layer: nn.LSTM | nn.GRU
    num_layers: int
    dropout_rate: Number = 0.0

    @linen.compact
    def __call__(
        self,
        x: Float[Array, "*batch time channels"],
        states: tuple[Any, ...] | None = None,
        *,
        mask: Bool[Array, "*batch time"] | None = None,
        train: bool = False,
    ) -> tuple[Float[Array, "*batch time features"], tuple[Any, ...]]:
        """Return the outputs of the last layer, and the state of each.

        Args:
            x: The sequence.
            states: State of each layer before the first step; None for zeros.
            mask: See `fdl.nn.LSTM`.
            train: Whether to apply dropout.
        """
        require_whole("[1, inf)", num_layers=self.num_layers)
        ends = []
        for number, start in enumerate(states or (None,) * self.num_layers, start=1):
            layer = self.layer.clone(parent=self, name=f"layer{number}")
            x, end = layer(x, start, mask=mask)
            x = nn.Dropout(self.dropout_rate)(x, train=train)
            ends.append(end)
        return x, tuple(ends)


class EncoderDecoder(RecurrentTranslator):
    """Recurrent sequence-to-sequence model (Sutskever et al., 2014).

    Recurrent layers encode the source; others start from their final states, read the
    target so far, and predict the next token. The defaults are the model of Sutskever
    et al. (arXiv:1409.3215). With `cell="gru"`, `context="every"` and `reverse=False`,
    it is the encoder-decoder of Cho et al. (2014, arXiv:1406.1078).

    Attributes:
        vocab_size: Number of tokens of targets, at least 2.
        source_vocab_size: Number of tokens of sources, at least 2.
        cell: `"lstm"`, or `"gru"` with the reset gate before the product.
        num_layers: Number of layers of the encoder, and of the decoder, at least 1.
        hidden_size: Width of each layer; even with `context="every"`, for maxout.
        features: Width of the embeddings.
        reverse: Whether to read the source from its last token to its first, so that
            the first tokens of source and target are close to each other.
        context: Whether the decoder sees the source only in its initial state
            (`"first"`) or at every step (`"every"`).
        dropout_rate: Fraction of embeddings and of the outputs of layers dropped in
            training, in [0, 1), as by Zaremba et al. (2014, arXiv:1409.2329); needs the
            random key `dropout` if above 0.
        pad_token: Padding token of sources, which is skipped; None if there is none.

    Raises:
        ValueError: If `cell` or `context` is unknown, or a size is below 1.

    Example:
        >>> model = EncoderDecoder(vocab_size=40, source_vocab_size=30)
        >>> source, target = jnp.ones((3, 9), int), jnp.ones((3, 7), int)
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), source, target)
        >>> jax.eval_shape(model.apply, variables, source, target).shape
        (3, 7, 40)
        >>> def decode(variables):
        ...     cache = model.apply(variables, source, 20, method="start")
        ...     return model.apply(variables, target, cache, method="decode")
        >>> logits, cache = jax.eval_shape(decode, variables)
        >>> logits.shape
        (3, 7, 40)
    """

    source_vocab_size: int
    cell: Literal["lstm", "gru"] = "lstm"
    num_layers: int = 1
    hidden_size: int = 256
    features: int = 64
    reverse: bool = True
    context: Literal["first", "every"] = "first"
    dropout_rate: Number = 0.0
    pad_token: int | None = 0

    def setup(self) -> None:
        """Create the layers."""
        if self.context not in ("first", "every"):
            raise ValueError(f"context={self.context!r} must be 'first' or 'every'.")
        self.source_embed = nn.Embedding(self.source_vocab_size, self.features)
        self.embed = nn.Embedding(self.vocab_size, self.features)
        self.encoder = self._stack(self.reverse)
        self.decoder = self._stack(reverse=False)
        self.dropout = nn.Dropout(self.dropout_rate)
        if self.context == "first":
            self.output = nn.Dense(self.vocab_size)
            return
        parts = self.num_layers * (2 if self.cell == "lstm" else 1)
        self.summary = nn.Dense(self.hidden_size)
        self.bridge = nn.Dense(parts * self.hidden_size)
        self.output = DeepOutput(self.vocab_size, self.hidden_size, maxout=True)

    def _stack(self, reverse: bool) -> RecurrentStack:
        match self.cell:
            case "lstm":
                layer = nn.LSTM(self.hidden_size, reverse, parent=None)
            case "gru":
                layer = nn.GRU(
                    self.hidden_size, reverse, reset_after=False, parent=None
                )
            case _:
                raise ValueError(f"cell={self.cell!r} must be 'lstm' or 'gru'.")
        return RecurrentStack(layer, self.num_layers, self.dropout_rate)

    def _encode(self, source: Array, train: bool) -> EncoderDecoderCache:
        mask = None if self.pad_token is None else source != self.pad_token
        x = self.dropout(self.source_embed(source), train=train)
        _, states = self.encoder(x, mask=mask, train=train)
        if self.context == "first":
            return EncoderDecoderCache(states, None)
        last = jax.tree.leaves(states[-1])[0]  # the output comes first in every state
        summary = jnp.tanh(self.summary(last))
        structure = jax.tree.structure(states)
        first = jnp.tanh(self.bridge(summary))
        first = jnp.split(first, structure.num_leaves, axis=-1)
        return EncoderDecoderCache(jax.tree.unflatten(structure, first), summary)

    def _decode(
        self, target: Array, cache: EncoderDecoderCache, train: bool
    ) -> tuple[Array, EncoderDecoderCache]:
        vectors = self.dropout(self.embed(target), train=train)
        if cache.summary is None:
            x, states = self.decoder(vectors, cache.states, train=train)
            return self.output(x), EncoderDecoderCache(states, None)
        summary = jnp.broadcast_to(
            cache.summary[..., None, :], (*target.shape, self.hidden_size)
        )
        seen = jnp.concatenate([vectors, summary], axis=-1)
        x, states = self.decoder(seen, cache.states, train=train)
        x = self.output(jnp.concatenate([x, seen], axis=-1))
        return x, EncoderDecoderCache(states, cache.summary)

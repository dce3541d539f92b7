"""The encoder-decoder with attention, "RNNsearch" (Bahdanau et al., 2015).

Parameters:

- The paper's network, GRUs of 1,000 units on 30,000 words of each language: 80,443,000

Differences from the paper:

- Weights are drawn from Keras' initial distributions.
- The hidden layer of the output uses tanh; `maxout=True` gives the paper's maxout.
- The reset gate acts after the recurrent product; `reset_after=False` gives the paper's
  order.
"""

from typing import NamedTuple

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Bool, Float

from fdl import nn
from fdl.arrays import Array, Number, PyTree
from fdl.models.deep_output import DeepOutput
from fdl.models.recurrent_translator import RecurrentTranslator


class AttentionCache(NamedTuple):
    """Encoded source, and the decoder's state after the target so far.

    Attributes:
        state: State of the decoder.
        memory: Output of the encoder for each token of the source.
        keys: Attention key of each token of the source.
        source_mask: True at tokens of the source, False at padding; None if there is no
            padding.
    """

    state: Float[Array, "*batch hidden"]
    memory: Float[Array, "*batch source_time features"]
    keys: Float[Array, "*batch source_time attention"]
    source_mask: Bool[Array, "*batch source_time"] | None


class AttentionEncoderDecoder(RecurrentTranslator):
    """Translator that attends to the source (Bahdanau et al., 2015, arXiv:1409.0473).

    GRUs read the source in both directions. Before each step, the state of the decoder,
    another GRU, attends to all tokens of the source, with scores from
    `tanh(query + key)`. The resulting average and the last token are the input of the
    step; both, with the new state, go into the deep output.

    Attributes:
        vocab_size: Number of tokens of targets, at least 2.
        source_vocab_size: Number of tokens of sources, at least 2.
        hidden_size: Width of each GRU, and of the output's hidden layer; even with
            `maxout`.
        features: Width of the embeddings.
        attention_size: Width of queries and keys.
        maxout: Whether the output uses maxout, as in the paper; see `DeepOutput`.
        reset_after: See `fdl.nn.GRU`; False in the paper.
        dropout_rate: Fraction of embeddings and of the output's hidden layer dropped in
            training, in [0, 1); needs the random key `dropout` if above 0.
        pad_token: Padding token of sources, which is skipped; None if there is none.

    Raises:
        ValueError: If a size is below 1.

    Example:
        >>> import jax
        >>> model = AttentionEncoderDecoder(vocab_size=40, source_vocab_size=30)
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
    hidden_size: int = 128
    features: int = 64
    attention_size: int = 128
    maxout: bool = False
    reset_after: bool = True
    dropout_rate: Number = 0.0
    pad_token: int | None = 0

    def setup(self) -> None:
        """Create the layers."""
        cell = nn.GRU(self.hidden_size, reset_after=self.reset_after)
        self.source_embed = nn.Embedding(self.source_vocab_size, self.features)
        self.embed = nn.Embedding(self.vocab_size, self.features)
        self.encoder = nn.Bidirectional(cell.clone(parent=None))
        self.keys = nn.Dense(self.attention_size, use_bias=False)
        self.query = nn.Dense(self.attention_size)
        self.attention = nn.AdditiveAttention()
        self.bridge = nn.Dense(self.hidden_size)
        self.decoder = cell
        self.output = DeepOutput(
            self.vocab_size, self.hidden_size, self.maxout, self.dropout_rate
        )
        self.dropout = nn.Dropout(self.dropout_rate)

    def alignment(
        self, intermediates: PyTree
    ) -> Float[Array, "*batch time source_time"]:
        """Return how much each target token attended to each source token.

        Args:
            intermediates: The collection `intermediates` after a call or `decode`.
        """
        weights = intermediates["attention"]["weights"][0]
        return jnp.moveaxis(weights[..., 0, :], 0, -2)

    def _encode(self, source: Array, train: bool) -> AttentionCache:
        mask = None if self.pad_token is None else source != self.pad_token
        x = self.dropout(self.source_embed(source), train=train)
        memory, end = self.encoder(x, mask=mask)
        state = jnp.tanh(self.bridge(end.backward))
        return AttentionCache(state, memory, self.keys(memory), mask)

    def _decode(
        self, target: Array, cache: AttentionCache, train: bool
    ) -> tuple[Array, AttentionCache]:
        vectors = self.dropout(self.embed(target), train=train)
        mask = None if cache.source_mask is None else cache.source_mask[..., None, :]

        def step(
            self: AttentionEncoderDecoder, state: Array, vector: Array
        ) -> tuple[Array, tuple[Array, Array]]:
            query = self.query(state)[..., None, :]
            average = self.attention(query, cache.keys, cache.memory, mask=mask)
            context = average[..., 0, :]
            x = jnp.concatenate([vector, context], axis=-1)
            state = self.decoder.step(x, state)
            return state, (state, context)

        run = linen.scan(
            step,
            variable_broadcast="params",
            variable_axes={"intermediates": 0},
            split_rngs={"params": False},
        )
        state, seen = run(self, cache.state, jnp.moveaxis(vectors, -2, 0))
        states, contexts = (jnp.moveaxis(x, 0, -2) for x in seen)
        x = jnp.concatenate([states, vectors, contexts], axis=-1)
        return self.output(x, train=train), cache._replace(state=state)

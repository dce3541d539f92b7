"""The Transformer, encoder and decoder of tokens (Vaswani et al., 2017).

Parameters:

- The paper's base model, 6 + 6 blocks on 37,000 tokens: 63,082,496

Differences from the paper:

- The projections of attention have biases.
- The epsilon of layer normalization is 1e-3, as in Keras.
- Weights other than the embedding are drawn from Keras' initial distributions.
"""

from typing import Literal, NamedTuple

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Bool, Float, Integer

from fdl import nn
from fdl.arrays import Array, PyTree


class TransformerCache(NamedTuple):
    """Cache of a source and of the target so far.

    Attributes:
        blocks: Caches of the blocks of the decoder.
        source_mask: True at tokens of the source, False at padding; None if there is no
            padding.
    """

    blocks: tuple[nn.BlockCache, ...]
    source_mask: Bool[Array, "*batch source_time"] | None


class Transformer(linen.Module):
    """Sequence-to-sequence Transformer (Vaswani et al., 2017, arXiv:1706.03762).

    The encoder reads the source; the decoder reads the target so far, attends to the
    output of the encoder, and predicts the next token. One embedding, multiplied by the
    square root of its width, is shared by both inputs and the output, or by target and
    output if sources have their own vocabulary. It is initialized so that the scaled
    embeddings and the logits have a variance of 1.

    Attributes:
        vocab_size: Size of the vocabulary of targets, at least 2.
        encoder: Blocks that read the source; the paper's base model has 6 with 8 heads.
        decoder: Blocks that read the target; must be causal.
        features: Width of the embedding; the numbers of heads must divide it.
        positions: See `fdl.nn.Positions`; sinusoidal in the paper.
        max_length: Number of positions if they are learned.
        pad_token: Padding token of sources, which is not attended to; None if there is
            none. Targets that are padded at the end need no mask, since no earlier
            token attends to the padding.
        source_vocab_size: Size of the vocabulary of sources; None to share the
            vocabulary and the embedding of targets.

    Raises:
        ValueError: If the decoder is not causal.

    Example:
        >>> import jax
        >>> encoder = nn.TransformerEncoder(num_layers=2, num_heads=4)
        >>> decoder = nn.TransformerDecoder(num_layers=2, num_heads=4)
        >>> model = Transformer(100, encoder, decoder, features=32)
        >>> source, target = jnp.ones((3, 9), int), jnp.ones((3, 7), int)
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), source, target)
        >>> jax.eval_shape(model.apply, variables, source, target).shape
        (3, 7, 100)
        >>> def decode(variables):
        ...     cache = model.apply(variables, source, 20, method="start")
        ...     return model.apply(variables, target, cache, method="decode")
        >>> logits, cache = jax.eval_shape(decode, variables)
        >>> logits.shape
        (3, 7, 100)
    """

    vocab_size: int
    encoder: nn.TransformerStack
    decoder: nn.TransformerStack
    features: int = 512
    positions: Literal["sinusoidal", "learned"] = "sinusoidal"
    max_length: int = 512
    pad_token: int | None = None
    source_vocab_size: int | None = None

    def setup(self) -> None:
        """Create the layers."""
        if not self.decoder.causal:
            raise ValueError("the decoder must be causal: use nn.TransformerDecoder.")
        # The variance is 1 / features: embeddings are multiplied by the square root of
        # features, and logits are sums over as many normalized values.
        start = nn.initializers.VarianceScaling(mode="fan_out")
        self.embed = nn.Embedding(self.vocab_size, self.features, start)
        if self.source_vocab_size is None:
            self.source_embed = self.embed
        else:
            size = self.source_vocab_size
            self.source_embed = nn.Embedding(size, self.features, start)
        self.position = nn.Positions(self.positions, self.max_length)
        self.dropout = nn.Dropout(self.decoder.dropout_rate)

    def __call__(
        self,
        source: Integer[Array, "*batch source_time"],
        target: Integer[Array, "*batch time"],
        *,
        train: bool = False,
    ) -> Float[Array, "*batch time {self.vocab_size}"]:
        """Return the logits of the token that follows each token of the target."""
        mask = self._mask(source)
        x = self._vectors(self.source_embed, source, 0, train)
        memory = self.encoder(x, mask=mask, train=train)
        x = self._vectors(self.embed, target, 0, train)
        return self.embed.attend(self.decoder(x, memory, memory_mask=mask, train=train))

    def start(
        self, source: Integer[Array, "*batch source_time"], length: int
    ) -> TransformerCache:
        """Encode a source; return a cache with room for `length` target tokens."""
        *batch, time = source.shape
        mask = self._mask(source)
        x = self._vectors(self.source_embed, source, 0, False)
        memory = self.encoder(x, mask=mask)
        blocks = self.decoder.empty_cache(
            tuple(batch), length, self.features, memory_length=time, dtype=memory.dtype
        )
        # Decoding no tokens only stores the memory in the cache.
        _, blocks = self.decoder.decode(memory[..., :0, :], blocks, memory)
        return TransformerCache(blocks, mask)

    def decode(
        self, target: Integer[Array, "*batch time"], cache: TransformerCache
    ) -> tuple[Float[Array, "*batch time {self.vocab_size}"], TransformerCache]:
        """Return the logits for new tokens, and the new cache.

        Decoding a target piece by piece gives the same logits as one `__call__` on the
        whole target. Tokens beyond the length of the cache give NaN.
        """
        position = cache.blocks[0].tokens.position
        x = self._vectors(self.embed, target, position, False)
        x, blocks = self.decoder.decode(x, cache.blocks, memory_mask=cache.source_mask)
        return self.embed.attend(x), cache._replace(blocks=blocks)

    def alignment(
        self, intermediates: PyTree
    ) -> Float[Array, "*batch time source_time"]:
        """Return how much each target token attended to each source token.

        The mean over the heads of the last block.

        Args:
            intermediates: The collection `intermediates` after a call or `decode`.
        """
        block = intermediates["decoder"][f"block{self.decoder.num_layers}"]
        return jnp.mean(block["memory_attention"]["weights"][0], axis=-3)

    def _mask(self, source: Array) -> Array | None:
        return None if self.pad_token is None else source != self.pad_token

    def _vectors(
        self, embed: nn.Embedding, token: Array, start: Array | int, train: bool
    ) -> Array:
        x = embed(token)
        x = self.position(x * jnp.asarray(self.features**0.5, x.dtype), start)
        return self.dropout(x, train=train)

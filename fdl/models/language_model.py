"""The decoder-only Transformer, a language model (Radford et al., 2018).

Parameters:

- 4 blocks on 103 characters, 128 features: 822,912

Differences from the paper:

- Token embeddings are multiplied by the square root of their width, as by Vaswani et
  al. (2017).
- Weights are drawn from Keras' initial distributions.
"""

from typing import Literal

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Float, Integer

from fdl import nn
from fdl.arrays import Array


class LanguageModel(linen.Module):
    """Language model of the next token of a text (Radford et al., 2018, "GPT").

    Token and position embeddings are added and passed through causal blocks; the token
    embedding, transposed, gives the logits of the next token (Press & Wolf, 2017,
    arXiv:1608.05859).

    Attributes:
        vocab_size: Number of tokens, at least 2.
        decoder: The stack of blocks; must be causal.
        features: Width of the embeddings; the decoder's heads must divide it.
        max_length: Largest number of tokens that the model can read, at least 1.
        positions: See `fdl.nn.Positions`.
        tied: Whether the output layer shares the token embedding; otherwise it is the
            separate layer `head`.

    Raises:
        ValueError: If the decoder is not causal, or a text is longer than
            `max_length`.

    Example:
        >>> import jax
        >>> decoder = nn.TransformerDecoder(num_layers=2, num_heads=4, norm="pre")
        >>> model = LanguageModel(vocab_size=100, decoder=decoder, features=32)
        >>> token = jnp.zeros((3, 7), int)
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), token)
        >>> jax.eval_shape(model.apply, variables, token).shape
        (3, 7, 100)
    """

    vocab_size: int
    decoder: nn.TransformerStack
    features: int = 128
    max_length: int = 128
    positions: Literal["learned", "sinusoidal"] = "learned"
    tied: bool = True

    def setup(self) -> None:
        """Create the layers."""
        if not self.decoder.causal:
            raise ValueError("the decoder must be causal: use nn.TransformerDecoder.")
        self.embed = nn.Embedding(self.vocab_size, self.features)
        self.position = nn.Positions(self.positions, self.max_length)
        self.dropout = nn.Dropout(self.decoder.dropout_rate)
        if not self.tied:
            self.head = nn.Dense(self.vocab_size)

    def __call__(
        self, token: Integer[Array, "*batch time"], *, train: bool = False
    ) -> Float[Array, "*batch time {self.vocab_size}"]:
        """Return the logits of the token that follows each token."""
        x = self._vectors(token, 0, train)
        return self._logits(self.decoder(x, train=train))

    def decode(
        self, token: Integer[Array, "*batch time"], cache: tuple[nn.BlockCache, ...]
    ) -> tuple[
        Float[Array, "*batch time {self.vocab_size}"], tuple[nn.BlockCache, ...]
    ]:
        """Return the logits for new tokens, and the new cache.

        Decoding a text piece by piece gives the same logits as one `__call__` on the
        whole text. Tokens beyond the length of the cache give NaN.
        """
        x = self._vectors(token, cache[0].tokens.position, False)
        x, cache = self.decoder.decode(x, cache)
        return self._logits(x), cache

    def empty_cache(
        self, batch: tuple[int, ...], length: int | None = None
    ) -> tuple[nn.BlockCache, ...]:
        """Return a cache for texts of up to `length` tokens, or `max_length`."""
        return self.decoder.empty_cache(batch, length or self.max_length, self.features)

    def _vectors(self, token: Array, start: Array | int, train: bool) -> Array:
        if token.shape[-1] > self.max_length:
            raise ValueError(
                f"a text of {token.shape[-1]} tokens is longer than max_length="
                f"{self.max_length}: pass only its last tokens."
            )
        x = self.embed(token)
        x = self.position(x * jnp.asarray(self.features**0.5, x.dtype), start)
        return self.dropout(x, train=train)

    def _logits(self, x: Array) -> Array:
        return self.embed.attend(x) if self.tied else self.head(x)

"""The Transformer encoder as a text classifier (after Vaswani et al., 2017).

Parameters:

- 2 blocks on 20,000 tokens, 32 features, 2 classes: 665,474

Differences from the paper:

- The paper has no classifier: the mean over tokens and the dense layer `head` are
  additions.
"""

from typing import Literal

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Float, Integer

from fdl import nn
from fdl.arrays import Array
from fdl.ranges import require_whole


class TextClassifier(linen.Module):
    """Text classifier with a Transformer encoder (Vaswani et al., 2017).

    Token embeddings, multiplied by the square root of their width, plus position
    embeddings pass through the blocks of the encoder; the mean over the tokens goes to
    the dense layer `head`.

    Attributes:
        num_classes: Number of classes, at least 2; or 1, for a single logit.
        vocab_size: Number of tokens, at least 2.
        encoder: The stack of blocks.
        features: Width of the embeddings; the encoder's heads must divide it.
        positions: See `fdl.nn.Positions`.
        max_length: Number of positions if they are learned.
        pad_token: Padding token, which is ignored; None if there is none. The logits of
            a text that is all padding are the bias of `head`.

    Example:
        >>> import jax
        >>> encoder = nn.TransformerEncoder(num_layers=2, num_heads=2)
        >>> model = TextClassifier(2, vocab_size=100, encoder=encoder, features=32)
        >>> token = jnp.ones((3, 7), int)
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), token)
        >>> jax.eval_shape(model.apply, variables, token).shape
        (3, 2)
    """

    num_classes: int
    vocab_size: int
    encoder: nn.TransformerStack
    features: int = 32
    positions: Literal["sinusoidal", "learned"] = "sinusoidal"
    max_length: int = 200
    pad_token: int | None = 0

    @linen.compact
    def __call__(
        self, token: Integer[Array, "*batch time"], *, train: bool = False
    ) -> Float[Array, "*batch {self.num_classes}"]:
        """Return the logits of texts."""
        require_whole("[1, inf)", num_classes=self.num_classes)
        mask = None if self.pad_token is None else token != self.pad_token
        x = nn.Embedding(self.vocab_size, self.features, name="embed")(token)
        x = x * jnp.asarray(self.features**0.5, x.dtype)
        x = nn.Positions(self.positions, self.max_length, name="position")(x)
        x = nn.Dropout(self.encoder.dropout_rate)(x, train=train)
        x = self.encoder(x, mask=mask, train=train)
        x = _mean(x, mask)
        return nn.Dense(self.num_classes, name="head")(x)


def _mean(x: Array, mask: Array | None) -> Array:
    """Average over the tokens in the mask."""
    if mask is None:
        return jnp.mean(x, axis=-2)
    share = mask.astype(x.dtype)
    share = share / jnp.maximum(jnp.sum(share, axis=-1, keepdims=True), 1)
    return jnp.einsum("...tf,...t->...f", x, share)

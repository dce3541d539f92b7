"""The deep output of recurrent decoders (Pascanu et al., 2014)."""

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Float

from fdl import nn
from fdl.arrays import Array, Number


class DeepOutput(linen.Module):
    """Hidden layer between a state and the logits (Pascanu et al., 2014).

    See arXiv:1312.6026. The input concatenates everything the next token depends on.

    Attributes:
        vocab_size: Number of tokens.
        features: Width of the hidden layer before its activation.
        maxout: Whether the activation is the maximum of each pair of values (Goodfellow
            et al., 2013, arXiv:1302.4389), which halves the width, instead of tanh.
        dropout_rate: Fraction of the hidden layer dropped in training, in [0, 1).

    Raises:
        ValueError: If `features` is odd, with `maxout`.

    Example:
        >>> import jax
        >>> layer = DeepOutput(vocab_size=9, features=8, maxout=True)
        >>> x = jnp.ones((2, 6))
        >>> variables = jax.eval_shape(layer.init, jax.random.key(0), x)
        >>> variables["params"]["head"]["kernel"].shape
        (4, 9)
        >>> jax.eval_shape(layer.apply, variables, x).shape
        (2, 9)
    """

    vocab_size: int
    features: int
    maxout: bool = False
    dropout_rate: Number = 0.0

    @linen.compact
    def __call__(
        self, x: Float[Array, "*batch channels"], *, train: bool = False
    ) -> Float[Array, "*batch {self.vocab_size}"]:
        """Return the logits of the next token."""
        x = nn.Dense(self.features, name="hidden")(x)
        if not self.maxout:
            x = jnp.tanh(x)
        elif self.features % 2:
            raise ValueError(
                f"{self.features} features cannot be paired for maxout: use an even "
                "number."
            )
        else:
            x = jnp.max(x.reshape(*x.shape[:-1], -1, 2), axis=-1)
        x = nn.Dropout(self.dropout_rate)(x, train=train)
        return nn.Dense(self.vocab_size, name="head")(x)

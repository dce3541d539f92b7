"""The embedding layer."""

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Float, Integer

from fdl.arrays import Array
from fdl.nn import initializers
from fdl.nn.initializers import Initializer
from fdl.ranges import require_whole


class Embedding(nn.Module):
    """Table of learned vectors (Bengio et al., 2003, JMLR 3), like Keras' `Embedding`.

    In place of Keras' `mask_zero`, pass `token != 0` to the layers that take a mask.

    Attributes:
        num_embeddings: Size of the vocabulary, at least 1.
        features: Width of a vector, at least 1.
        embedding_init: Initializer of the table; see `fdl.nn.initializers`.

    Raises:
        ValueError: If `num_embeddings` or `features` is below 1.

    Example:
        >>> import jax
        >>> layer = Embedding(num_embeddings=1000, features=32)
        >>> token = jnp.zeros((2, 7), int)
        >>> variables = layer.init(jax.random.key(0), token)
        >>> x = layer.apply(variables, token)
        >>> x.shape
        (2, 7, 32)
        >>> layer.apply(variables, x, method="attend").shape
        (2, 7, 1000)
    """

    num_embeddings: int
    features: int
    embedding_init: Initializer = "random_uniform"

    def setup(self) -> None:
        """Create the table."""
        require_whole(
            "[1, inf)", num_embeddings=self.num_embeddings, features=self.features
        )
        shape = (self.num_embeddings, self.features)
        start = initializers.get(self.embedding_init)
        self.embedding = self.param("embedding", start, shape)

    def __call__(
        self, token: Integer[Array, "*batch"]
    ) -> Float[Array, "*batch features"]:
        """Look up the vectors of tokens.

        Negative tokens count from the end, as in Keras. Tokens outside the table give
        NaN, since a compiled program cannot raise an error.
        """
        return jnp.take(self.embedding, token, axis=0, mode="fill")

    def attend(
        self, x: Float[Array, "*batch features"]
    ) -> Float[Array, "*batch vocab"]:
        """Use the table as an output layer: return the logits `x embedding^T`.

        Press & Wolf (2017) introduced sharing the table between input and output.
        """
        x, embedding = promote_dtype(x, self.embedding)
        return x @ embedding.T

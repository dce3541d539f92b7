"""Position embeddings."""

from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Float, Int

from fdl.arrays import Array
from fdl.nn.embedding import Embedding
from fdl.nn.initializers import Initializer
from fdl.ranges import require_whole


def sinusoids(
    position: Int[Array, " time"], features: int, dtype: DTypeLike = jnp.float32
) -> Float[Array, "time {features}"]:
    """Return sines and cosines of positions (Vaswani et al., 2017, section 3.5).

    Channel `2 i` is `sin(position / 10000^(2 i / features))`, and channel `2 i + 1` is
    the cosine of the same angle.

    Example:
        >>> np.asarray(sinusoids(jnp.arange(2), 4)).round(2)
        array([[0.  , 1.  , 0.  , 1.  ],
               [0.84, 0.54, 0.01, 1.  ]], dtype=float32)
    """
    # Half precision cannot represent all positions above 256, so only the waves are
    # rounded. Rates are in double precision, since their error grows with the position.
    exact = jnp.promote_types(dtype, jnp.float32)
    rate = jnp.asarray(
        10_000.0 ** (-2 * np.arange((features + 1) // 2) / features), exact
    )
    angle = position.astype(exact)[:, None] * rate[None, :]
    waves = jnp.stack([jnp.sin(angle), jnp.cos(angle)], axis=-1)
    return waves.reshape(len(position), -1)[:, :features].astype(dtype)


class Positions(nn.Module):
    """Layer that adds position embeddings to tokens (Vaswani et al., 2017).

    Attributes:
        kind: `"sinusoidal"` adds `sinusoids`; `"learned"` adds learned vectors,
            like an `Embedding`.
        max_length: Number of learned positions, at least 1; positions beyond it give
            NaN. Sinusoids have no limit.
        embedding_init: Initializer of learned positions; see `fdl.nn.initializers`.

    Raises:
        ValueError: If `kind` is unknown, or `max_length` is below 1.

    Example:
        >>> import jax
        >>> layer = Positions("learned", max_length=50)
        >>> x = jnp.ones((3, 7, 16))
        >>> variables = layer.init(jax.random.key(0), x)
        >>> layer.apply(variables, x).shape, variables["params"]["embedding"].shape
        ((3, 7, 16), (50, 16))
    """

    kind: Literal["sinusoidal", "learned"]
    max_length: int
    embedding_init: Initializer = "random_uniform"

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "*batch time features"],
        start: Int[Array, ""] | int = 0,
    ) -> Float[Array, "*batch time features"]:
        """Add the positions `start`, `start + 1`, ... to `x`."""
        require_whole("[1, inf)", max_length=self.max_length)
        time, features = x.shape[-2:]
        position = jnp.int32(start) + jnp.arange(time, dtype=jnp.int32)
        if self.kind == "sinusoidal":
            vectors = sinusoids(position, features, x.dtype)
        elif self.kind == "learned":
            table = Embedding(self.max_length, features, self.embedding_init)
            nn.share_scope(self, table)  # the table is a parameter of this layer
            vectors = table(position)
        else:
            raise ValueError(f"kind={self.kind!r} must be 'sinusoidal' or 'learned'.")
        return x + jnp.broadcast_to(vectors.astype(x.dtype), x.shape)

"""Additive attention with Keras' parameters and treatment of masks."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Bool, Float

from fdl.arrays import Array, Number
from fdl.nn import initializers
from fdl.nn.dropout import Dropout
from fdl.nn.initializers import Initializer
from fdl.nn.masks import allowed_pairs
from fdl.ranges import require_number


class AdditiveAttention(nn.Module):
    """Additive attention (Bahdanau et al., 2015, arXiv:1409.0473), as in Keras.

    Returns for each query the average of the values, weighted by the softmax over keys
    of `sum(scale tanh(query + key))`. Differs from the paper, as in Keras: its only
    parameter is the vector `scale`, the paper's v. For the paper's W and U, add a
    `Dense` layer before the queries and one before the keys. Fan-in and fan-out of
    `scale` are both its length.

    Attributes:
        dropout_rate: Fraction of the weights dropped in training, in [0, 1].
        scale_init: Initializer of `scale`; see `fdl.nn.initializers`.

    Raises:
        ValueError: If `dropout_rate` is outside [0, 1] or the mask does not broadcast
            to the scores.

    Example:
        >>> layer = AdditiveAttention()
        >>> query, key = jnp.ones((3, 5, 16)), jnp.ones((3, 7, 16))
        >>> variables = jax.eval_shape(layer.init, jax.random.key(0), query, key)
        >>> jax.eval_shape(layer.apply, variables, query, key).shape
        (3, 5, 16)
    """

    dropout_rate: Number = 0.0
    scale_init: Initializer = "glorot_uniform"

    @nn.compact
    def __call__(
        self,
        query: Float[Array, "*batch query_time channels"],
        key: Float[Array, "*batch key_time channels"],
        value: Float[Array, "*batch key_time features"] | None = None,
        *,
        mask: Bool[Array, "... #query_time #key_time"] | None = None,
        causal: bool = False,
        train: bool = False,
    ) -> Float[Array, "*batch query_time features"]:
        """Attend from each query to the keys.

        Dropout needs the random key `dropout`. The attention weights are sown as the
        intermediate `weights`, `(*batch, query_time, key_time)`.

        Args:
            query: The queries; any number of leading batch axes, including none.
            key: The keys.
            value: The values to average; None for `key`. Keras takes them before the
                key.
            mask: True where a query may attend to a key. The equivalent of Keras'
                `mask=[q, v]` is `v[..., None, :]`, with the outputs set to zero where
                `q` is False.
            causal: Whether a query may attend only to keys up to its own time.
            train: Whether to apply dropout.

        Returns:
            The average for each query. As in Keras, a query that may not attend to any
            key gets the mean of all values in single precision, and the average
            weighted by its scores in double precision.
        """
        require_number("[0, 1]", dropout_rate=self.dropout_rate)
        scale = self.param(
            "scale", initializers.get(self.scale_init), (query.shape[-1],)
        )
        value = key if value is None else value
        query, key, value, scale = promote_dtype(query, key, value, scale)
        pairs = jnp.tanh(query[..., :, None, :] + key[..., None, :, :])
        scores = jnp.einsum("...tsc,c->...ts", pairs, scale)
        mask = allowed_pairs(mask, causal, scores.shape)
        if mask is not None:
            # Subtract, as Keras does: for a row that is masked completely, replacing
            # the scores by one large negative number would give another result.
            far = 65504.0 if scores.dtype == jnp.float16 else 1e9
            scores = jnp.where(mask, scores, scores - far)
        weights = jax.nn.softmax(scores, axis=-1)
        self.sow("intermediates", "weights", weights)
        weights = Dropout(self.dropout_rate)(weights, train=train)
        return jnp.einsum("...ts,...sf->...tf", weights, value)

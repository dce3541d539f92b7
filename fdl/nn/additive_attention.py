"""Additive attention, with Keras' parameters and Keras' treatment of masks."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Bool, Float

from fdl.arrays import Array, Number
from fdl.nn.dropout import Dropout
from fdl.nn.masks import allowed_pairs
from fdl.nn.options import check_rate


class AdditiveAttention(nn.Module):
    """Additive attention (Bahdanau et al., 2015, arXiv:1409.0473), as Keras' own.

    Gives each query the average of the values, weighted by the softmax over keys of
    `sum(scale tanh(query + key))`. Differs from the paper as Keras does: it has only
    the vector `scale`, the paper's v; the paper's W and U are two `Dense` layers, one
    before the queries and one before the keys. `scale` starts from Glorot's uniform
    distribution, with its length for both fans.

    Attributes:
        dropout_rate: Share of the weights to drop in training, in [0, 1].

    Raises:
        ValueError: If the rate is outside [0, 1] or the mask does not broadcast to the
            scores.

    Example:
        >>> layer = AdditiveAttention()
        >>> query, key = jnp.ones((3, 5, 16)), jnp.ones((3, 7, 16))
        >>> variables = layer.init(jax.random.key(0), query, key)
        >>> layer.apply(variables, query, key).shape
        (3, 5, 16)
    """

    dropout_rate: Number = 0.0

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

        Dropout, where there is any, draws from the stream `dropout`. The weights are
        sown as the intermediate `weights`, `(*batch, query_time, key_time)`.

        Args:
            query: What asks; any number of leading batch axes, none included.
            key: What is asked.
            value: What is averaged; None for `key`. Keras takes it before the key.
            mask: True where a query may attend to a key. For a Keras layer that is
                given `mask=[q, v]`, it is `v[..., None, :]`, and the outputs where `q`
                is False are set to zero afterwards.
            causal: Whether a query may attend only to keys up to its own time.
            train: Whether to drop weights.

        Returns:
            The average for each query. One that may attend to nothing gets, as in
            Keras, the mean of all values in single precision, and the average of all
            of them by their scores in double precision.
        """
        check_rate(self.dropout_rate)
        scale = self.param("scale", _glorot_uniform, (query.shape[-1],))
        value = key if value is None else value
        query, key, value, scale = promote_dtype(query, key, value, scale)
        pairs = jnp.tanh(query[..., :, None, :] + key[..., None, :, :])
        scores = jnp.einsum("...tsc,c->...ts", pairs, scale)
        mask = allowed_pairs(mask, causal, scores.shape)
        if mask is not None:
            # Subtracted, as Keras does: where a whole row is, that is another function
            # than one large number in its place.
            far = 65504.0 if scores.dtype == jnp.float16 else 1e9
            scores = jnp.where(mask, scores, scores - far)
        weights = jax.nn.softmax(scores, axis=-1)
        self.sow("intermediates", "weights", weights)
        weights = Dropout(self.dropout_rate)(weights, train=train)
        return jnp.einsum("...ts,...sf->...tf", weights, value)


def _glorot_uniform(key: Array, shape: tuple[int, ...]) -> Array:
    limit = math.sqrt(3 / shape[0])  # of a vector, which Linen's own refuses
    return jax.random.uniform(key, shape, minval=-limit, maxval=limit)

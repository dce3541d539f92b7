"""Attention, with Keras' parameters and Keras' treatment of masks."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Bool, Float

from fdl.arrays import Array
from fdl.nn.options import check_rate, check_sizes


class MultiHeadAttention(nn.Module):
    """Multi-head attention (Vaswani et al., 2017, arXiv:1706.03762), as Keras' own.

    Each head projects queries, keys and values, and gives every query the average of
    the values, weighted by `softmax(query key^T / sqrt(key_size))`; `out` mixes the
    heads. Differs from the paper in the biases of the four projections. Kernels start
    from Glorot's uniform distribution over all heads together, biases from zero.

    Attributes:
        num_heads: Number of heads, at least 1.
        key_size: Width of a head's queries and keys, at least 1: Keras' `key_dim`.
        value_size: Width of a head's values; None for `key_size`.
        out_features: Width of the output; None for the query's.
        dropout_rate: Share of the weights to drop in training, in [0, 1].
        use_bias: Whether the projections have biases.

    Raises:
        ValueError: If a size is below 1, the rate is outside [0, 1], or the mask does
            not broadcast to the scores.

    Example:
        >>> layer = MultiHeadAttention(num_heads=2, key_size=16)
        >>> x = jnp.ones((3, 7, 32))
        >>> variables = layer.init(jax.random.key(0), x)
        >>> layer.apply(variables, x, causal=True).shape
        (3, 7, 32)
    """

    num_heads: int
    key_size: int
    value_size: int | None = None
    out_features: int | None = None
    dropout_rate: float = 0.0
    use_bias: bool = True

    @nn.compact
    def __call__(
        self,
        query: Float[Array, "*batch query_time channels"],
        key: Float[Array, "*batch key_time key_channels"] | None = None,
        value: Float[Array, "*batch key_time value_channels"] | None = None,
        *,
        mask: Bool[Array, "... #query_time #key_time"] | None = None,
        causal: bool = False,
        train: bool = False,
    ) -> Float[Array, "*batch query_time out_features"]:
        """Attend from each query to the keys.

        Dropout, where there is any, draws from the stream `dropout`. The weights are
        sown as the intermediate `weights`, `(*batch, heads, query_time, key_time)`.

        Args:
            query: What asks; any number of leading batch axes, none included.
            key: What is asked; None for `query`, which is self-attention.
            value: What is averaged; None for `key`. Keras takes it before the key.
            mask: True where a query may attend to a key: `(query_time, key_time)`
                after any batch axes, or with an axis of heads between them too.
            causal: Whether a query may attend only to keys up to its own time.
            train: Whether to drop weights.

        Returns:
            The output for each query. One that may attend to nothing gets, as in Keras,
            the mean of all values through `out` if `dropout_rate` is 0, and none of
            them, that is the bias of `out`, if it is not.
        """
        check_rate(self.dropout_rate)
        check_sizes(
            num_heads=self.num_heads,
            key_size=self.key_size,
            value_size=self.value_size,
            out_features=self.out_features,
        )
        key = query if key is None else key
        value = key if value is None else value
        q = self._heads("query", self.key_size)(query)
        k = self._heads("key", self.key_size)(key)
        v = self._heads("value", self.value_size or self.key_size)(value)
        q, k, v = promote_dtype(q, k, v)

        scores = jnp.einsum("...tnh,...snh->...nts", q, k) / math.sqrt(self.key_size)
        if jnp.finfo(scores.dtype).bits < 32:  # as Keras does
            scores = scores.astype(jnp.float32)
        if mask is not None and mask.ndim <= query.ndim:
            mask = jnp.expand_dims(mask, -3)
        mask = _allowed(mask, causal, scores.shape)
        if mask is not None:
            scores = jnp.where(mask, scores, jnp.finfo(scores.dtype).min)
        weights = jax.nn.softmax(scores, axis=-1)
        if mask is not None and self.dropout_rate > 0:
            weights = jnp.where(mask, weights, 0)
        self.sow("intermediates", "weights", weights)
        weights = nn.Dropout(self.dropout_rate, deterministic=not train)(weights)
        y = jnp.einsum("...nts,...snh->...tnh", weights.astype(v.dtype), v)
        return nn.DenseGeneral(
            self.out_features or query.shape[-1],
            axis=(-2, -1),
            use_bias=self.use_bias,
            kernel_init=nn.initializers.glorot_uniform(),
            name="out",
        )(y)

    def _heads(self, name: str, size: int) -> nn.DenseGeneral:
        return nn.DenseGeneral(
            (self.num_heads, size),
            use_bias=self.use_bias,
            kernel_init=nn.initializers.glorot_uniform(),
            name=name,
        )


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

    dropout_rate: float = 0.0

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
        mask = _allowed(mask, causal, scores.shape)
        if mask is not None:
            # Subtracted, as Keras does: where a whole row is, that is another function
            # than one large number in its place.
            far = 65504.0 if scores.dtype == jnp.float16 else 1e9
            scores = jnp.where(mask, scores, scores - far)
        weights = jax.nn.softmax(scores, axis=-1)
        self.sow("intermediates", "weights", weights)
        weights = nn.Dropout(self.dropout_rate, deterministic=not train)(weights)
        return jnp.einsum("...ts,...sf->...tf", weights, value)


def _allowed(mask: Array | None, causal: bool, shape: tuple[int, ...]) -> Array | None:
    """Return which of the scores count, or None if all do."""
    if mask is None and not causal:
        return None
    allowed = jnp.ones(shape[-2:], bool)
    if causal:
        allowed = jnp.tril(allowed)
    allowed = jnp.broadcast_to(allowed, shape)
    if mask is None:
        return allowed
    try:
        return allowed & jnp.broadcast_to(mask, shape)
    except ValueError as error:
        raise ValueError(
            f"a mask of shape {mask.shape} does not broadcast to scores of {shape}."
        ) from error


def _glorot_uniform(key: Array, shape: tuple[int, ...]) -> Array:
    limit = math.sqrt(3 / shape[0])  # of a vector, which Linen's own refuses
    return jax.random.uniform(key, shape, minval=-limit, maxval=limit)

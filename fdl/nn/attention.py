"""Multi-head attention with Keras' parameters and treatment of masks."""

import math
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jax.typing import DTypeLike
from jaxtyping import Bool, Float

from fdl import ops
from fdl.arrays import Array, Number, PyTree, is_on
from fdl.nn import initializers
from fdl.nn.cache import KeyValueCache, append, cache_mask, empty_cache
from fdl.nn.dense import dot_general
from fdl.nn.dropout import Dropout
from fdl.nn.initializers import Initializer
from fdl.nn.masks import allowed_pairs, spread
from fdl.ranges import require_number, require_whole


class MultiHeadAttention(nn.Module):
    """Multi-head attention (Vaswani et al., 2017, arXiv:1706.03762), as in Keras.

    Each head projects queries, keys and values, and returns for each query the average
    of the values, weighted by `softmax(query key^T / sqrt(key_size))`; the projection
    `out` mixes the heads. Differs from the paper in having biases in all four
    projections.

    Attributes:
        num_heads: Number of heads, at least 1.
        key_size: Width of a head's queries and keys, at least 1; `key_dim` in Keras.
        value_size: Width of a head's values; None for `key_size`.
        out_features: Width of the output; None for the width of the query.
        dropout_rate: Fraction of the attention weights dropped in training, in [0, 1].
        use_bias: Whether the projections have biases.
        kernel_init: Initializer of the four kernels, each with all heads as one matrix;
            see `fdl.nn.initializers`.
        bias_init: Initializer of the biases.
        implementation: The implementation of `jax.nn.dot_product_attention`: `"xla"`,
            `"cudnn"` (flash attention; half precision on NVIDIA GPUs only), or None for
            JAX's choice. Ignored where that function is not used: with dropout, in
            double precision, in float16 on CPU, with a `value_size` other than
            `key_size`, and if the weights are requested as intermediates.

    Raises:
        ValueError: If a size is below 1, `dropout_rate` is outside [0, 1], or the mask
            does not broadcast to the scores.

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
    dropout_rate: Number = 0.0
    use_bias: bool = True
    kernel_init: Initializer = "glorot_uniform"
    bias_init: Initializer = "zeros"
    implementation: Literal["xla", "cudnn"] | None = None

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

        Dropout needs the random key `dropout`. The attention weights are sown as the
        intermediate `weights`, `(*batch, heads, query_time, key_time)`.

        Args:
            query: The queries; any number of leading batch axes, including none. Keras
                attends over all axes except the first and the last; this layer over
                one.
            key: The keys; None for `query`, which is self-attention.
            value: The values to average; None for `key`. Keras takes them before the
                key.
            mask: True where a query may attend to a key: `(query_time, key_time)`
                after any batch axes, optionally with an axis of heads in between.
            causal: Whether a query may attend only to keys up to its own time.
            train: Whether to apply dropout.

        Returns:
            The output for each query. As in Keras, a query that may not attend to any
            key gets the mean of all values, passed through `out`, if `dropout_rate` is
            0, and otherwise only the bias of `out`.
        """
        y, _ = self._attend(query, key, value, mask, causal, train, None)
        return y

    def decode(
        self,
        query: Float[Array, "*batch query_time channels"],
        cache: KeyValueCache,
        key: Float[Array, "*batch new_time key_channels"] | None = None,
        *,
        mask: Bool[Array, "... #query_time #length"] | None = None,
        causal: bool = True,
    ) -> tuple[Float[Array, "*batch query_time out_features"], KeyValueCache]:
        """Attend to all tokens so far, including those of this call.

        Decoding a sequence piece by piece, each with the cache returned for the
        previous piece, gives the same result as one `__call__` on the whole sequence.

        Args:
            query: The queries; if `causal`, the first one is at `cache.position`.
            cache: Keys and values so far; start from `empty_cache`.
            key: New tokens, appended to the cache; None for `query`. Without new tokens
                (`new_time` 0), the cache is unchanged, so that a memory is projected
                only once.
            mask: True where a query may attend to a position in the cache.
            causal: Whether a query may attend only to positions up to its own.

        Returns:
            The output, which is NaN if the cache has no room for the new tokens (a
            compiled program cannot raise an error), and the new cache.
        """
        return self._attend(query, key, None, mask, causal, False, cache)

    def empty_cache(
        self, batch: tuple[int, ...], length: int, dtype: DTypeLike = jnp.float32
    ) -> KeyValueCache:
        """Return a cache with room for `length` tokens of a batch of sequences."""
        sizes = (self.key_size, self.value_size or self.key_size)
        return empty_cache(batch, length, self.num_heads, sizes, dtype)

    @nn.compact
    def _attend(
        self,
        query: Array,
        key: Array | None,
        value: Array | None,
        mask: Array | None,
        causal: bool,
        train: bool,
        cache: KeyValueCache | None,
    ) -> tuple[Array, PyTree]:
        require_number("[0, 1]", dropout_rate=self.dropout_rate)
        require_whole("[1, inf)", num_heads=self.num_heads)
        require_whole(
            "[1, inf) or None",
            key_size=self.key_size,
            value_size=self.value_size,
            out_features=self.out_features,
        )
        key = query if key is None else key
        value = key if value is None else value
        how = (self.num_heads, self.use_bias, self.kernel_init, self.bias_init)
        q = _Heads(*how, self.key_size, name="query")(query)
        k = _Heads(*how, self.key_size, name="key")(key)
        v = _Heads(*how, self.value_size or self.key_size, name="value")(value)
        q, k, v = promote_dtype(q, k, v)
        if mask is not None and mask.ndim <= query.ndim:
            mask = jnp.expand_dims(mask, -3)
        if cache is not None:
            before, cache = cache, append(cache, k, v)
            k, v = cache.key.astype(q.dtype), cache.value.astype(q.dtype)
            mask = cache_mask(mask, causal, before, cache, q)
            causal = False  # now part of the mask
        y = self._average(q, k, v, mask, causal, train)
        y = nn.DenseGeneral(
            self.out_features or query.shape[-1],
            axis=(-2, -1),
            use_bias=self.use_bias,
            kernel_init=initializers.get(self.kernel_init),
            bias_init=initializers.get(self.bias_init),
            dot_general=dot_general,
            name="out",
        )(y)
        if cache is not None:
            y = jnp.where(cache.position <= k.shape[-3], y, jnp.nan)
        return y, cache

    def _average(
        self,
        q: Array,
        k: Array,
        v: Array,
        mask: Array | None,
        causal: bool,
        train: bool,
    ) -> Array:
        """Return the average of the values, `(*batch, time, heads, size)`."""
        drops = is_on(self.dropout_rate)
        shape = (*q.shape[:-3], self.num_heads, q.shape[-3], k.shape[-3])
        if (
            not drops
            and q.dtype != jnp.float64  # JAX computes softmax in single precision
            and not (q.dtype == jnp.float16 and jax.default_backend() == "cpu")
            and k.shape == v.shape
            and not self.is_mutable_collection("intermediates")
        ):
            # JAX supports a single batch axis.
            flat = lambda x: x.reshape(math.prod(x.shape[:-3]), *x.shape[-3:])
            if mask is not None:
                heads = (*shape[:-3], *mask.shape[-3:-2], *shape[-2:])
                mask = flat(spread(mask, heads))
            return jax.nn.dot_product_attention(
                *(flat(q), flat(k), flat(v)),
                mask=mask,
                is_causal=causal,
                implementation=self.implementation,
            ).reshape(q.shape)

        scores = jnp.einsum("...tnh,...snh->...nts", q, k) / math.sqrt(self.key_size)
        if jnp.finfo(scores.dtype).bits < 32:  # as Keras does
            scores = scores.astype(jnp.float32)
        mask = allowed_pairs(mask, causal, scores.shape)
        if mask is not None:
            scores = jnp.where(mask, scores, jnp.finfo(scores.dtype).min)
        weights = jax.nn.softmax(scores, axis=-1)
        if mask is not None and drops:
            weights = jnp.where(mask, weights, 0)
        self.sow("intermediates", "weights", weights)
        weights = Dropout(self.dropout_rate)(weights, train=train)
        return jnp.einsum("...nts,...snh->...tnh", weights.astype(v.dtype), v)


class _Heads(nn.Module):
    """Projection to all heads."""

    num_heads: int
    use_bias: bool
    kernel_init: Initializer
    bias_init: Initializer
    size: int

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch time channels"]
    ) -> Float[Array, "*batch time {self.num_heads} {self.size}"]:
        shape = (self.num_heads, self.size)
        # The fan-out counts the features of all heads.
        flat = (x.shape[-1], math.prod(shape))
        draw = initializers.get(self.kernel_init)
        start = lambda key, shape: draw(key, flat).reshape(shape)
        kernel = self.param("kernel", start, (x.shape[-1], *shape))
        x, kernel = promote_dtype(x, kernel)
        y = ops.dense(x, kernel.reshape(flat)).reshape(*x.shape[:-1], *shape)
        if not self.use_bias:
            return y
        bias = self.param("bias", initializers.get(self.bias_init), shape)
        y, bias = promote_dtype(y, bias)
        return y + jnp.broadcast_to(bias, y.shape)

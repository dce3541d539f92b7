"""The Transformer block."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import flax.linen as nn
from jaxtyping import Bool, Float

from fdl.arrays import Array, Number, PyTree
from fdl.nn.activations import relu
from fdl.nn.attention import MultiHeadAttention
from fdl.nn.cache import KeyValueCache
from fdl.nn.dense import Dense
from fdl.nn.dropout import Dropout
from fdl.nn.initializers import Initializer
from fdl.nn.norm import LayerNormalization

Norm = Literal["post", "pre"]


class BlockCache(NamedTuple):
    """Caches of a block for decoding.

    Attributes:
        tokens: Cache of the self-attention.
        memory: Cache of the attention to a memory; None if there is none.
    """

    tokens: KeyValueCache
    memory: KeyValueCache | None


class TransformerBlock(nn.Module):
    """Block of the Transformer (Vaswani et al., 2017, arXiv:1706.03762).

    Self-attention, attention to a memory if one is given, and two feed-forward layers
    at each position. Each of these sublayers has dropout and a residual connection.
    Differs from the paper in having biases in attention, and in the epsilon of layer
    normalization, which is Keras' 1e-3.

    Attributes:
        num_heads: Number of attention heads; must divide the features.
        hidden_size: Width of the feed-forward layers; None for 4 times the features.
        dropout_rate: Fraction of the output of each sublayer dropped, in [0, 1).
        norm: `"post"` to normalize after each sublayer, `"pre"` to normalize before it.
        activation: Activation of the feed-forward layers.
        causal: Whether each token attends only to itself and earlier ones.
        implementation: See `MultiHeadAttention`.
        kernel_init: Initializer of all kernels; see `fdl.nn.initializers`.
        bias_init: Initializer of the biases of attention and of the dense layers.

    Raises:
        ValueError: If the heads do not divide the features.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> block = TransformerBlock(num_heads=2)
        >>> x = jnp.ones((3, 7, 16))
        >>> variables = block.init(jax.random.key(0), x)
        >>> block.apply(variables, x)[0].shape
        (3, 7, 16)
    """

    num_heads: int
    hidden_size: int | None = None
    dropout_rate: Number = 0.0
    norm: Norm = "post"
    activation: Callable[[Array], Array] = relu
    causal: bool = False
    implementation: Literal["xla", "cudnn"] | None = None
    kernel_init: Initializer = "glorot_uniform"
    bias_init: Initializer = "zeros"

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "*batch time features"],
        memory: Float[Array, "*batch memory_time features"] | None = None,
        *,
        mask: Bool[Array, "*batch key_time"] | None = None,
        memory_mask: Bool[Array, "*batch all_memory_time"] | None = None,
        cache: BlockCache | None = None,
        train: bool = False,
    ) -> tuple[Float[Array, "*batch time features"], BlockCache | None]:
        """Return the output and, if a cache is given, the new cache.

        Args:
            x: The tokens; with a cache, the tokens that follow those in it.
            memory: Output of an encoder to attend to; None for none. With a cache, pass
                it only with the first tokens, since the cache stores it.
            mask: True at tokens to attend to, in `x` or in the cache.
            memory_mask: The same for the memory.
            cache: Cache of the earlier tokens.
            train: Whether to apply dropout.
        """
        features = x.shape[-1]
        if features % self.num_heads:
            raise ValueError(
                f"num_heads={self.num_heads} must divide the {features} features."
            )
        if self.norm not in ("post", "pre"):
            raise ValueError(f"norm={self.norm!r} must be 'post' or 'pre'.")
        starts = {"kernel_init": self.kernel_init, "bias_init": self.bias_init}
        tokens, seen = (None, None) if cache is None else cache

        def add(x: Array, name: str, part: Callable[[Array], PyTree]) -> PyTree:
            norm = LayerNormalization(name=f"{name}_norm")
            y, kept = part(norm(x) if self.norm == "pre" else x)
            x = x + Dropout(self.dropout_rate)(y, train=train)
            return (x if self.norm == "pre" else norm(x)), kept

        def attend(x: Array) -> PyTree:
            layer = self._attention("attention", features)
            pairs = _as_pairs(mask)
            if tokens is None:
                return layer(x, mask=pairs, causal=self.causal), None
            return layer.decode(x, tokens, mask=pairs, causal=self.causal)

        def attend_to_memory(x: Array) -> PyTree:
            layer = self._attention("memory_attention", features)
            pairs = _as_pairs(memory_mask)
            if seen is None:
                return layer(x, memory, mask=pairs), None
            new = x[..., :0, :] if memory is None else memory
            return layer.decode(x, seen, new, mask=pairs, causal=False)

        def feed_forward(x: Array) -> PyTree:
            hidden_size = self.hidden_size or 4 * features
            hidden = Dense(hidden_size, **starts, name="dense1")(x)
            y = Dense(features, **starts, name="dense2")(self.activation(hidden))
            return y, None

        x, tokens = add(x, "attention", attend)
        if memory is not None or seen is not None:
            x, seen = add(x, "memory_attention", attend_to_memory)
        x, _ = add(x, "dense", feed_forward)
        return x, (None if cache is None else BlockCache(tokens, seen))

    def _attention(self, name: str, features: int) -> MultiHeadAttention:
        return MultiHeadAttention(
            self.num_heads,
            features // self.num_heads,
            kernel_init=self.kernel_init,
            bias_init=self.bias_init,
            implementation=self.implementation,
            name=name,
        )


def _as_pairs(mask: Array | None) -> Array | None:
    return None if mask is None else mask[..., None, :]

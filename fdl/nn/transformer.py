"""The layers of Transformers, for models that are made of them."""

import functools
from collections.abc import Callable
from typing import Literal, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Bool, Float

from fdl.arrays import Array, PyTree
from fdl.nn.activations import relu
from fdl.nn.attention import MultiHeadAttention
from fdl.nn.cache import KeyValueCache, empty_cache
from fdl.nn.dense import Dense
from fdl.nn.dropout import Dropout
from fdl.nn.norm import LayerNormalization

Norm = Literal["post", "pre"]


class BlockCache(NamedTuple):
    """What a block remembers in decoding.

    Attributes:
        tokens: Of its attention to the tokens so far.
        memory: Of its attention to what an encoder made; None if there is none.
    """

    tokens: KeyValueCache
    memory: KeyValueCache | None


class TransformerBlock(nn.Module):
    """One layer of encoder or decoder (Vaswani et al., 2017, arXiv:1706.03762).

    Self-attention, attention to a memory if one is given, and two dense layers at each
    position; what each of these parts gives is dropped out and added to what it got.
    Differs from the paper in the biases of attention, and in the epsilon of layer
    normalization, which is Keras' 1e-3.

    Attributes:
        num_heads: Heads of attention; must divide the features.
        hidden_size: Width between the two dense layers; None for 4 times the features.
        dropout_rate: Fraction dropped of what a part gives, in [0, 1).
        norm: `"post"` normalizes after each part, `"pre"` before it.
        activation: Between the two dense layers.
        causal: Whether a token attends only to those up to itself.
        implementation: See `MultiHeadAttention`.

    Raises:
        ValueError: If the heads do not divide the features.

    Example:
        >>> import jax
        >>> block = TransformerBlock(num_heads=2)
        >>> x = jnp.ones((3, 7, 16))
        >>> variables = block.init(jax.random.key(0), x)
        >>> block.apply(variables, x)[0].shape
        (3, 7, 16)
    """

    num_heads: int
    hidden_size: int | None = None
    dropout_rate: float = 0.0
    norm: Norm = "post"
    activation: Callable[[Array], Array] = relu
    causal: bool = False
    implementation: Literal["xla", "cudnn"] | None = None

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
        """Return what the block makes of `x`, and the cache if one is given.

        Args:
            x: Tokens; with a cache, those that follow on what is in it.
            memory: What to attend to besides. With a cache, it is kept there, and given
                with the first tokens only.
            mask: True where there is a token to attend to: of `x`, or of the cache.
            memory_mask: The same for the memory.
            cache: What was remembered of earlier tokens.
            train: Whether to drop out.
        """
        features = x.shape[-1]
        if features % self.num_heads:
            raise ValueError(
                f"num_heads={self.num_heads} do not divide {features} features: choose "
                "a divisor."
            )
        if self.norm not in ("post", "pre"):
            raise ValueError(f"norm={self.norm!r} must be 'post' or 'pre'.")
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

        def think(x: Array) -> PyTree:
            hidden = Dense(self.hidden_size or 4 * features, name="dense1")(x)
            return Dense(features, name="dense2")(self.activation(hidden)), None

        x, tokens = add(x, "attention", attend)
        if memory is not None or seen is not None:
            x, seen = add(x, "memory_attention", attend_to_memory)
        x, _ = add(x, "dense", think)
        return x, (None if cache is None else BlockCache(tokens, seen))

    def _attention(self, name: str, features: int) -> MultiHeadAttention:
        return MultiHeadAttention(
            self.num_heads,
            features // self.num_heads,
            implementation=self.implementation,
            name=name,
        )


class TransformerStack(nn.Module):
    """Blocks of a Transformer, one after the other (Vaswani et al., 2017).

    The encoder is `TransformerEncoder`; the decoder is `TransformerDecoder`, whose
    tokens attend only to those up to themselves.

    Attributes:
        num_layers: Number of blocks, at least 0.
        num_heads: Heads of attention in each; must divide the features.
        hidden_size: Width between the dense layers; None for 4 times the features.
        dropout_rate: Fraction dropped of what each part of a block gives, in [0, 1);
            needs the random key `dropout` if above 0.
        norm: `"post"` normalizes after each part of a block, as in the paper; `"pre"`
            before it and once at the end, which trains without a warm-up of the
            learning rate (Xiong et al., 2020, arXiv:2002.04745).
        activation: Between the two dense layers.
        causal: Whether a token attends only to those up to itself.
        implementation: See `MultiHeadAttention`.

    Example:
        >>> import jax
        >>> decoder = TransformerDecoder(num_layers=2, num_heads=2)
        >>> x = jnp.ones((3, 7, 16))
        >>> variables = decoder.init(jax.random.key(0), x)
        >>> decoder.apply(variables, x).shape
        (3, 7, 16)
        >>> cache = decoder.empty_cache((3,), length=20, features=16)
        >>> y, cache = decoder.apply(variables, x, cache, method="decode")
        >>> y.shape, int(cache[0].tokens.position)
        ((3, 7, 16), 7)
    """

    num_layers: int
    num_heads: int
    hidden_size: int | None = None
    dropout_rate: float = 0.0
    norm: Norm = "post"
    activation: Callable[[Array], Array] = relu
    causal: bool = False
    implementation: Literal["xla", "cudnn"] | None = None

    def __call__(
        self,
        x: Float[Array, "*batch time features"],
        memory: Float[Array, "*batch memory_time features"] | None = None,
        *,
        mask: Bool[Array, "*batch time"] | None = None,
        memory_mask: Bool[Array, "*batch memory_time"] | None = None,
        train: bool = False,
    ) -> Float[Array, "*batch time features"]:
        """Pass tokens, with their positions in them, through the blocks.

        Args:
            x: The tokens.
            memory: What an encoder made, to which a decoder attends as well.
            mask: True where there is a token, False where there is padding, to which
                nothing attends.
            memory_mask: The same for the memory.
            train: Whether to drop out.
        """
        masks = {"mask": mask, "memory_mask": memory_mask}
        return self._run(x, memory, None, masks, train)[0]

    def decode(
        self,
        x: Float[Array, "*batch time features"],
        cache: tuple[BlockCache, ...],
        memory: Float[Array, "*batch memory_time features"] | None = None,
        *,
        mask: Bool[Array, "*batch length"] | None = None,
        memory_mask: Bool[Array, "*batch memory_time"] | None = None,
    ) -> tuple[Float[Array, "*batch time features"], tuple[BlockCache, ...]]:
        """Pass on tokens that follow those in the cache.

        Args:
            x: The new tokens.
            cache: What was remembered of those before; `empty_cache` makes the first.
            memory: What an encoder made: only with the first tokens, since the cache
                keeps it.
            mask: True where there is a token to attend to, by place in the cache.
            memory_mask: True where the memory has a token.

        Returns:
            What `__call__` gives at these positions of the whole sequence, and the new
            cache.
        """
        masks = {"mask": mask, "memory_mask": memory_mask}
        return self._run(x, memory, cache, masks, False)

    def empty_cache(
        self,
        batch: tuple[int, ...],
        length: int,
        features: int,
        *,
        memory_length: int | None = None,
        dtype: DTypeLike = jnp.float32,
    ) -> tuple[BlockCache, ...]:
        """Return a cache with room for `length` tokens, and for a memory if any."""
        size = features // self.num_heads
        make = lambda room: empty_cache(
            batch, room, self.num_heads, (size, size), dtype
        )
        memory = None if memory_length is None else make(memory_length)
        return (BlockCache(make(length), memory),) * self.num_layers

    @nn.compact
    def _run(
        self, x: Array, memory: Array | None, cache: PyTree, masks: PyTree, train: bool
    ) -> tuple[Array, PyTree]:
        caches = []
        for layer in range(self.num_layers):
            block = TransformerBlock(
                self.num_heads,
                self.hidden_size,
                self.dropout_rate,
                self.norm,
                self.activation,
                self.causal,
                self.implementation,
                name=f"block{layer + 1}",
            )
            own = None if cache is None else cache[layer]
            x, kept = block(x, memory, **masks, cache=own, train=train)
            caches.append(kept)
        if self.norm == "pre":
            x = LayerNormalization(name="norm")(x)
        return x, tuple(caches)


TransformerEncoder = functools.partial(TransformerStack, causal=False)
"""A `TransformerStack` in which every token attends to every token."""

TransformerDecoder = functools.partial(TransformerStack, causal=True)
"""A `TransformerStack` in which tokens attend only to those up to themselves."""


def _as_pairs(mask: Array | None) -> Array | None:
    return None if mask is None else mask[..., None, :]

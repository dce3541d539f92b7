"""Blocks of a Transformer, one after the other: its encoder and its decoder."""

import functools
from collections.abc import Callable
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Bool, Float

from fdl.arrays import Array, Number, PyTree
from fdl.nn.activations import relu
from fdl.nn.cache import empty_cache
from fdl.nn.norm import LayerNormalization
from fdl.nn.transformer_block import BlockCache, Norm, TransformerBlock


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
    dropout_rate: Number = 0.0
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

"""Encoder and decoder of the Transformer, as stacks of blocks."""

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
from fdl.nn.initializers import Initializer
from fdl.nn.norm import LayerNormalization
from fdl.nn.transformer_block import BlockCache, Norm, TransformerBlock


class TransformerStack(nn.Module):
    """Stack of Transformer blocks (Vaswani et al., 2017).

    Use `TransformerEncoder`, or `TransformerDecoder`, in which each token attends only
    to itself and earlier ones.

    Attributes:
        num_layers: Number of blocks, at least 0.
        num_heads: Number of attention heads; must divide the features.
        hidden_size: Width of the feed-forward layers; None for 4 times the features.
        dropout_rate: Fraction of the output of each sublayer dropped in training, in
            [0, 1); needs the random key `dropout` if above 0.
        norm: `"post"` to normalize after each sublayer, as in the paper; `"pre"` to
            normalize before each sublayer and once at the end, which trains without
            learning-rate warm-up (Xiong et al., 2020, arXiv:2002.04745).
        activation: Activation of the feed-forward layers.
        causal: Whether each token attends only to itself and earlier ones.
        implementation: See `MultiHeadAttention`.
        kernel_init: Initializer of all kernels; see `fdl.nn.initializers`.
        bias_init: Initializer of the biases of attention and of the dense layers.

    Example:
        >>> import jax
        >>> decoder = TransformerDecoder(num_layers=2, num_heads=2)
        >>> x = jnp.ones((3, 7, 16))
        >>> variables = jax.jit(decoder.init)(jax.random.key(0), x)
        >>> jax.eval_shape(decoder.apply, variables, x).shape
        (3, 7, 16)
        >>> cache = decoder.empty_cache((3,), length=20, features=16)
        >>> decode = jax.jit(functools.partial(decoder.apply, method="decode"))
        >>> y, cache = decode(variables, x, cache)
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
    kernel_init: Initializer = "glorot_uniform"
    bias_init: Initializer = "zeros"

    def __call__(
        self,
        x: Float[Array, "*batch time features"],
        memory: Float[Array, "*batch memory_time features"] | None = None,
        *,
        mask: Bool[Array, "*batch time"] | None = None,
        memory_mask: Bool[Array, "*batch memory_time"] | None = None,
        train: bool = False,
    ) -> Float[Array, "*batch time features"]:
        """Pass tokens through the blocks.

        Args:
            x: The tokens, with position embeddings added.
            memory: Output of an encoder for the decoder to attend to; None for none.
            mask: True at tokens, False at padding, which is not attended to.
            memory_mask: The same for the memory.
            train: Whether to apply dropout.
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
        """Pass new tokens, which follow those in the cache, through the blocks.

        Args:
            x: The new tokens.
            cache: Cache of the earlier tokens; start from `empty_cache`.
            memory: Output of an encoder; needed only with the first tokens, since the
                cache stores it.
            mask: True at positions of the cache with a token to attend to.
            memory_mask: True at tokens of the memory.

        Returns:
            The outputs for the new tokens, equal to those of `__call__` on the whole
            sequence, and the new cache.
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
        """Return a cache with room for `length` tokens and, optionally, a memory."""
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
                self.kernel_init,
                self.bias_init,
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
"""A `TransformerStack` in which each token attends to itself and earlier ones."""

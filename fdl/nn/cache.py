"""The key-value cache of attention, for decoding token by token."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Float, Int

from fdl.arrays import Array
from fdl.nn.masks import spread


class KeyValueCache(NamedTuple):
    """Keys and values of the tokens so far, with room for more.

    The shapes never change, so decoding compiles once and can run in a scan.

    Attributes:
        key: Projected keys of the tokens so far; zero after them.
        value: Projected values of the tokens so far; zero after them.
        position: Number of tokens so far, and position of the next one. One number for
            the whole batch; under `jax.vmap`, each sequence may have its own.
    """

    key: Float[Array, "*batch length heads key_size"]
    value: Float[Array, "*batch length heads value_size"]
    position: Int[Array, ""]


def empty_cache(
    batch: tuple[int, ...],
    length: int,
    heads: int,
    sizes: tuple[int, int],
    dtype: DTypeLike = jnp.float32,
) -> KeyValueCache:
    """Return a cache with room for `length` keys and values of the given sizes."""
    room = (*batch, length, heads)
    key, value = (jnp.zeros((*room, size), dtype) for size in sizes)
    return KeyValueCache(key, value, jnp.int32(0))


def append(cache: KeyValueCache, k: Array, v: Array) -> KeyValueCache:
    """Append new keys and values to a cache."""
    put = lambda old, new: lax.dynamic_update_slice_in_dim(
        old, new.astype(old.dtype), cache.position, axis=-3
    )
    return KeyValueCache(
        put(cache.key, k), put(cache.value, v), cache.position + k.shape[-3]
    )


def cache_mask(
    mask: Array | None,
    causal: bool,
    before: KeyValueCache,
    after: KeyValueCache,
    q: Array,
) -> Array:
    """Return a mask of the cache positions that each query may attend to."""
    query_time, length = q.shape[-3], after.key.shape[-3]
    place = jnp.arange(length, dtype=jnp.int32)
    last = jnp.broadcast_to(after.position - 1, (query_time,))
    if causal:
        last = before.position + jnp.arange(query_time, dtype=jnp.int32)
    allowed = place[None, :] <= last[:, None]
    if mask is None:
        return allowed[None]
    heads = (*q.shape[:-3], *mask.shape[-3:-2], query_time, length)
    return spread(mask, heads) & jnp.broadcast_to(allowed, heads)

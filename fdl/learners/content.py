"""Deterministic noise: random draws for an example that depend only on the example.

An evaluation that needs noise must be reproducible, with batches of any size and in any
order. So the random key of an example is derived from its bytes.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Shaped

from fdl.arrays import Array


def content_keys(
    inputs: Shaped[Array, "examples ..."],
) -> Shaped[jax.Array, " examples"]:
    """Return a random key for each example, derived from its bytes.

    Equal examples get equal keys; different ones collide with a probability of 2**-32.

    Example:
        >>> images = np.arange(12, dtype=np.uint8).reshape(3, 4)
        >>> keys = content_keys(images)
        >>> bool(content_keys(images[1:])[0] == keys[1]), bool(keys[0] == keys[1])
        (True, False)
    """
    numbers = lax.bitcast_convert_type(jnp.asarray(inputs), jnp.uint8)
    numbers = numbers.reshape(len(inputs), -1).astype(jnp.uint32)
    # A sum with random weights, modulo 2**32: Carter & Wegman's universal hash.
    weights = jax.random.bits(jax.random.key(0), numbers.shape[1:], jnp.uint32)
    sums = jnp.sum(numbers * weights[None], axis=-1, dtype=jnp.uint32)
    return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(1), sums)


def content_normal(
    inputs: Shaped[Array, "examples ..."], size: int, dtype: np.dtype
) -> Float[Array, "examples {size}"]:
    """Draw `size` numbers for each example from the standard normal distribution.

    Example:
        >>> content_normal(np.arange(12).reshape(3, 4), 2, np.dtype("float32")).shape
        (3, 2)
    """
    draw = lambda key: jax.random.normal(key, (size,), dtype)
    return jax.vmap(draw)(content_keys(inputs))

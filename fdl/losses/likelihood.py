"""Likelihoods of images as losses."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from fdl.arrays import Array


def bernoulli_nll(
    logits: Float[Array, "*batch height width channels"],
    image: Float[Array, "*batch height width channels"],
) -> Float[Array, "*batch"]:
    """Return `-log p(image)` in nats, summed over independent Bernoulli pixels.

    Keras' `BinaryCrossentropy(from_logits=True)` as a sum over pixels instead of a
    mean. For pixels that are 0 or 1 it is a negative log-likelihood. For pixels
    between, it is the mean over images binarized with these probabilities, and its
    smallest possible value is the entropy of the pixels, not 0.

    Args:
        logits: Logits of the pixels' probabilities.
        image: Pixels in [0, 1].

    Example:
        >>> bernoulli_nll(jnp.zeros((1, 2, 2, 1)), jnp.ones((1, 2, 2, 1)))
        Array([2.7725887], dtype=float32)
    """
    return jnp.sum(jax.nn.softplus(logits) - image * logits, axis=(-3, -2, -1))

"""Negative log-likelihood of images and other binary values."""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from fdl.arrays import Array


def bernoulli_nll(
    logits: Float[Array, "*shape"],
    image: Float[Array, "*shape"],
    *,
    axes: int = 3,
) -> Float[Array, "..."]:
    """Return `-log p(image)` in nats, summed over independent Bernoulli pixels.

    Keras' `BinaryCrossentropy(from_logits=True)` as a sum over pixels instead of a
    mean. For pixels that are 0 or 1, it is a negative log-likelihood. For pixels in
    between, it is the mean over images binarized with these probabilities, and its
    minimum is the entropy of the pixels, not 0.

    Args:
        logits: Logits of the pixels' probabilities, `(*batch, height, width,
            channels)`.
        image: Pixels in [0, 1].
        axes: Number of last axes to sum over: 1 for vectors such as frames of music.

    Example:
        >>> bernoulli_nll(jnp.zeros((1, 2, 2, 1)), jnp.ones((1, 2, 2, 1)))
        Array([2.7725887], dtype=float32)
        >>> bernoulli_nll(jnp.zeros((2, 3)), jnp.ones((2, 3)), axes=1)
        Array([2.0794415, 2.0794415], dtype=float32)
    """
    losses = jax.nn.softplus(logits) - image * logits
    return jnp.sum(losses, axis=tuple(range(-axes, 0)))

"""Divergences between distributions."""

import jax.numpy as jnp
from jaxtyping import Float, Shaped

from fdl.arrays import Array
from fdl.losses.common import EPSILON, clip, matched


def standard_normal_kl(
    mean: Float[Array, "*batch latent"], logvar: Float[Array, "*batch latent"]
) -> Float[Array, "*batch latent"]:
    """Return the divergence of normal distributions from the standard one, in nats.

    `KL(N(mean, variance) || N(0, 1)) = (mean^2 + variance - 1 - log variance) / 2` for
    each latent (Kingma & Welling, 2014, arXiv:1312.6114, appendix B); for independent
    latents, these add up.

    Args:
        mean: Mean of each latent.
        logvar: Natural logarithm of the variance of each latent.

    Example:
        >>> standard_normal_kl(jnp.array([0.0, 2.0]), jnp.zeros(2))
        Array([0., 2.], dtype=float32)
    """
    return 0.5 * (mean**2 + jnp.expm1(logvar) - logvar)


def kl_divergence(
    outputs: Float[Array, "*batch classes"], targets: Shaped[Array, "*targets"]
) -> Float[Array, "*batch"]:
    """Return `sum(targets log(targets / outputs))` over the last axis, in nats.

    Keras' function of this name: the divergence `KL(targets || outputs)` (Kullback &
    Leibler, 1951), where both are clipped to [1e-7, 1].

    Args:
        outputs: Predicted probabilities, not logits.
        targets: True probabilities.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> kl = kl_divergence(jnp.array([[0.25, 0.75]]), jnp.array([[0.5, 0.5]]))
        >>> round(float(kl[0]), 4)
        0.1438
    """
    outputs, targets = matched(outputs, targets)
    q, p = clip(outputs, EPSILON, 1.0), clip(targets, EPSILON, 1.0)
    return jnp.sum(p * jnp.log(p / q), axis=-1)

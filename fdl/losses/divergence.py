"""Divergences between distributions, in closed form."""

import jax.numpy as jnp
from jaxtyping import Float

from fdl.arrays import Array


def standard_normal_kl(
    mean: Float[Array, "*batch latent"], logvar: Float[Array, "*batch latent"]
) -> Float[Array, "*batch latent"]:
    """Return the divergence of normal distributions from the standard one, in nats.

    `KL(N(mean, variance) || N(0, 1)) = (mean^2 + variance - 1 - log variance) / 2` for
    each latent (Kingma & Welling, 2014, arXiv:1312.6114, appendix B); that of
    independent latents together is the sum.

    Args:
        mean: Mean of each latent.
        logvar: Natural logarithm of the variance of each latent.

    Example:
        >>> standard_normal_kl(jnp.array([0.0, 2.0]), jnp.zeros(2))
        Array([0., 2.], dtype=float32)
    """
    return 0.5 * (mean**2 + jnp.expm1(logvar) - logvar)

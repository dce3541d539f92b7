"""Losses of generative adversarial networks.

In the papers' notation, `x` are real examples, `z` latents, `G` the generator, and `D`
the discriminator, whose output is a probability in Goodfellow's paper and an unbounded
number in the others. The arguments here are always logits; `D = sigma(logit)` where the
paper has a probability. Every loss is minimized, so the sign changes where a paper
maximizes. All functions return one number for each example.

Example:
    >>> undecided = jnp.zeros(1)
    >>> minimax.generator(undecided), non_saturating.generator(undecided)
    (Array([-0.6931472], dtype=float32), Array([0.6931472], dtype=float32))
    >>> least_squares.generator(undecided), wasserstein_gp.generator(undecided + 3)
    (Array([0.5], dtype=float32), Array([-3.], dtype=float32))
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from fdl.arrays import Array

Logits = Float[Array, "*batch"]


class AdversarialLoss(NamedTuple):
    """The losses that discriminator and generator each minimize.

    Attributes:
        discriminator: `(real_logits, fake_logits) -> losses`, one for each pair.
        generator: `fake_logits -> losses`, one for each example.
        penalty: Weight of `gradient_penalty` in the discriminator's loss; 0 for none.
    """

    discriminator: Callable[[Logits, Logits], Logits]
    generator: Callable[[Logits], Logits]
    penalty: float = 0.0


def _cross_entropy(real: Logits, fake: Logits) -> Logits:
    # -log sigma(a) = softplus(-a), and -log(1 - sigma(a)) = softplus(a).
    return jax.nn.softplus(-real) + jax.nn.softplus(fake)


minimax = AdversarialLoss(_cross_entropy, lambda fake: -jax.nn.softplus(fake))
"""The game itself (Goodfellow et al., 2014, arXiv:1406.2661, equation 1).

`min_G max_D E[log D(x)] + E[log(1 - D(G(z)))]`: the discriminator's loss is the
negative of the sum; the generator's is its second term, whose gradient vanishes where
the discriminator is confident.
"""

non_saturating = AdversarialLoss(_cross_entropy, lambda fake: jax.nn.softplus(-fake))
"""The form used in practice (Goodfellow et al., 2014, arXiv:1406.2661, section 3).

The discriminator's loss is that of `minimax`; the generator's is `-log D(G(z))`, with
the same fixed point and a strong gradient early on. TensorFlow's tutorial uses it.
"""

least_squares = AdversarialLoss(
    lambda real, fake: (jnp.square(real - 1) + jnp.square(fake)) / 2,
    lambda fake: jnp.square(fake - 1) / 2,
)
"""Least-squares GAN (Mao et al., 2017, arXiv:1611.04076, equation 9).

`1/2 (D(x) - 1)^2 + 1/2 D(G(z))^2` and `1/2 (D(G(z)) - 1)^2`: the paper's 0-1 coding,
`a = 0`, `b = c = 1`, with `D` the logit itself.
"""

wasserstein_gp = AdversarialLoss(
    lambda real, fake: fake - real, lambda fake: -fake, penalty=10.0
)
"""Wasserstein GAN with gradient penalty (Gulrajani et al., 2017, arXiv:1704.00028).

`D(G(z)) - D(x) + lambda (|grad D(x_hat)| - 1)^2` and `-D(G(z))`, equation 3, with
`lambda = 10` and `D` the logit itself, called the critic.
"""

ADVERSARIAL: dict[str, AdversarialLoss] = {
    "minimax": minimax,
    "non_saturating": non_saturating,
    "least_squares": least_squares,
    "wasserstein_gp": wasserstein_gp,
}
"""All adversarial losses, by name."""


def gradient_penalty(
    critic: Callable[[Array], Logits],
    real: Float[Array, "*batch height width channels"],
    fake: Float[Array, "*batch height width channels"],
    mix: Float[Array, "*batch"],
) -> Logits:
    """Return `(|grad D(x_hat)| - 1)^2` (Gulrajani et al., 2017, arXiv:1704.00028).

    `x_hat = epsilon x + (1 - epsilon) G(z)`, and the norm is over the pixels of one
    image. `D` must treat examples independently, so it must not use batch
    normalization.

    Args:
        critic: `D`, a function from images to logits.
        real: Real examples `x`.
        fake: Generated examples `G(z)`.
        mix: The fractions `epsilon`, in [0, 1].

    Example:
        >>> real, fake = jnp.ones((2, 3, 3, 1)), jnp.zeros((2, 3, 3, 1))
        >>> critic = lambda image: 2 * image.sum(axis=(-3, -2, -1))
        >>> gradient_penalty(critic, real, fake, jnp.array([0.2, 0.9]))
        Array([25., 25.], dtype=float32)
    """
    epsilon = mix[..., None, None, None]
    between = epsilon * real + (1 - epsilon) * fake
    slopes = jax.grad(lambda image: jnp.sum(critic(image)))(between)
    square = jnp.sum(jnp.square(slopes), axis=(-3, -2, -1))
    # The square root has no derivative at zero, so a flat critic gets no gradient.
    flat = square == 0
    norm = jnp.where(flat, 0, jnp.sqrt(jnp.where(flat, 1, square)))
    return jnp.square(norm - 1)

"""The smallest generative adversarial network, after Goodfellow et al. (2014).

Parameters:

- `DenseGenerator()` from 64 latents: 50,960
- `DenseDiscriminator()` on 28x28x1: 785

Generator and discriminator are one dense layer each: the simplest pair to start from.
The discriminator is logistic regression on pixels.

Differences from the paper:

- Neither network has a hidden layer.
"""

import math

import flax.linen as linen
from jaxtyping import Float

from fdl import nn
from fdl.arrays import Array


class DenseGenerator(linen.Module):
    """The one-layer generator `tanh(W z + b)`, after Goodfellow et al. (2014).

    arXiv:1406.2661. Each pixel is a squashed weighted sum of the latents.

    Attributes:
        image_shape: Height, width and channels of an image.

    Example:
        >>> import jax
        >>> model = DenseGenerator()
        >>> latent = jax.random.normal(jax.random.key(0), (2, 64))
        >>> variables = jax.eval_shape(model.init, jax.random.key(1), latent)
        >>> jax.eval_shape(model.apply, variables, latent).shape
        (2, 28, 28, 1)
    """

    image_shape: tuple[int, int, int] = (28, 28, 1)

    @linen.compact
    def __call__(
        self, latent: Float[Array, "*batch latent"], *, train: bool = False
    ) -> Float[Array, "*batch height width channels"]:
        """Return images in [-1, 1]; `train` has no effect."""
        x = nn.tanh(nn.Dense(math.prod(self.image_shape), name="dense")(latent))
        return x.reshape(*x.shape[:-1], *self.image_shape)


class DenseDiscriminator(linen.Module):
    """The one-layer discriminator `sigma(W x + b)`, after Goodfellow et al. (2014).

    arXiv:1406.2661. Returns the logit `W x + b`; the sigmoid `sigma` is part of the
    loss, which is accurate for logits of any size.

    Example:
        >>> import jax
        >>> model = DenseDiscriminator()
        >>> images = jax.numpy.ones((2, 28, 28, 1))
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), images)
        >>> jax.eval_shape(model.apply, variables, images).shape
        (2, 1)
    """

    @linen.compact
    def __call__(
        self,
        image: Float[Array, "*batch height width channels"],
        *,
        train: bool = False,
    ) -> Float[Array, "*batch 1"]:
        """Return the logit of images in [-1, 1]; `train` has no effect."""
        x = image.reshape(*image.shape[:-3], -1)
        return nn.Dense(1, name="head")(x)

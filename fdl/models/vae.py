"""The variational autoencoder (Kingma & Welling, 2014).

Parameters on 28x28x1:

- `VAE()`: 973,624
- `ConvVAE()`: 1,662,249

`ConvVAE` has strided and transposed convolutions.

Differences from the paper:

- Encoder and decoder have two hidden layers instead of one.
- The activation is ReLU instead of tanh.
"""

import functools
from typing import NamedTuple

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Float

from fdl import nn
from fdl.arrays import Array
from fdl.models.coders import ConvDecoder, ConvEncoder, DenseDecoder, DenseEncoder


class Posterior(NamedTuple):
    """Independent normal distributions of the latents of an image.

    Attributes:
        mean: Mean of each latent.
        logvar: Natural logarithm of the variance of each latent.
    """

    mean: Float[Array, "*batch latent"]
    logvar: Float[Array, "*batch latent"]


class VAEOutput(NamedTuple):
    """Output of a variational autoencoder.

    Attributes:
        logits: Logits of the pixels, given the sampled latents.
        mean: Mean of each latent, given the image.
        logvar: Natural logarithm of the variance of each latent, given the image.
    """

    logits: Float[Array, "*batch height width channels"]
    mean: Float[Array, "*batch latent"]
    logvar: Float[Array, "*batch latent"]


class VAE(linen.Module):
    """Variational autoencoder with Bernoulli pixels (Kingma & Welling, 2014).

    The encoder predicts the mean and variance of each latent; the decoder maps
    `z = mean + deviation * noise` (arXiv:1312.6114, equation 10) to the probability of
    each pixel. The caller draws the noise from the standard normal distribution, so
    that the model is a pure function.

    Attributes:
        latent_size: Number of latents, at least 1.
        encoder: Module from an image to features.
        decoder: Module from latents to the logits of an image.

    Example:
        >>> import jax
        >>> model, images = VAE(), jnp.ones((2, 28, 28, 1))
        >>> noise = jax.random.normal(jax.random.key(1), (2, 20))
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), images, noise)
        >>> jax.eval_shape(model.apply, variables, images, noise).logits.shape
        (2, 28, 28, 1)
        >>> decode = functools.partial(model.apply, method="decode")
        >>> jax.eval_shape(decode, variables, noise).shape
        (2, 28, 28, 1)
    """

    latent_size: int = 20
    encoder: linen.Module = DenseEncoder()
    decoder: linen.Module = DenseDecoder()

    def setup(self) -> None:
        """Create the layers between encoder and latents."""
        self.mean = nn.Dense(self.latent_size)
        self.logvar = nn.Dense(self.latent_size)

    def __call__(
        self,
        image: Float[Array, "*batch height width channels"],
        noise: Float[Array, "*batch {self.latent_size}"],
    ) -> VAEOutput:
        """Reconstruct images in [0, 1] from latents sampled with `noise`."""
        mean, logvar = self.encode(image)
        z = mean + jnp.exp(0.5 * logvar) * noise
        return VAEOutput(self.decode(z), mean, logvar)

    def encode(self, image: Float[Array, "*batch height width channels"]) -> Posterior:
        """Return the distribution of the latents of images."""
        features = self.encoder(image)
        return Posterior(self.mean(features), self.logvar(features))

    def decode(
        self, z: Float[Array, "*batch {self.latent_size}"]
    ) -> Float[Array, "*batch height width channels"]:
        """Return the logits of pixels for latents."""
        return self.decoder(z)


ConvVAE = functools.partial(VAE, encoder=ConvEncoder(), decoder=ConvDecoder())
"""`VAE` with strided and transposed convolutions."""

"""The autoencoder (Hinton & Salakhutdinov, 2006).

Autoencoder() on 28x28x1          965,604 parameters
ConvAutoencoder() on 28x28x1    1,657,109 parameters
"""

import functools

import flax.linen as linen
from jaxtyping import Float

from fdl import nn
from fdl.arrays import Array
from fdl.models.coders import ConvDecoder, ConvEncoder, DenseDecoder, DenseEncoder


class Autoencoder(linen.Module):
    """Image to a short code and back (Hinton & Salakhutdinov, 2006, Science 313).

    The encoder's features become a code through a linear layer, and the decoder makes
    an image of the code. Differs from the paper in ReLU for the logistic function, in
    narrower and fewer layers unless asked for, and in that all layers are meant to be
    learnt at once. Learnt from images that were damaged, it is the denoising
    autoencoder (Vincent et al., 2008): the model is the same.

    Attributes:
        latent_size: Numbers in a code, at least 1.
        encoder: Module that gives features of an image.
        decoder: Module that gives the logits of an image for a code.

    Example:
        >>> import jax
        >>> model, images = Autoencoder(), jax.numpy.ones((2, 28, 28, 1))
        >>> variables = model.init(jax.random.key(0), images)
        >>> model.apply(variables, images).shape
        (2, 28, 28, 1)
        >>> model.apply(variables, images, method="encode").shape
        (2, 20)
    """

    latent_size: int = 20
    encoder: linen.Module = DenseEncoder()
    decoder: linen.Module = DenseDecoder()

    def setup(self) -> None:
        """Define the layer between encoder and code."""
        self.code = nn.Dense(self.latent_size)

    def __call__(
        self, image: Float[Array, "*batch height width channels"]
    ) -> Float[Array, "*batch height width channels"]:
        """Return the logits of the reconstruction of images in [0, 1]."""
        return self.decode(self.encode(image))

    def encode(
        self, image: Float[Array, "*batch height width channels"]
    ) -> Float[Array, "*batch {self.latent_size}"]:
        """Return the codes of images."""
        return self.code(self.encoder(image))

    def decode(
        self, z: Float[Array, "*batch {self.latent_size}"]
    ) -> Float[Array, "*batch height width channels"]:
        """Return the logits of pixels for codes."""
        return self.decoder(z)


ConvAutoencoder = functools.partial(
    Autoencoder, encoder=ConvEncoder(), decoder=ConvDecoder()
)
"""`Autoencoder` with strided and transposed convolutions."""

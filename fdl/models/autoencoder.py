"""The autoencoder (Hinton & Salakhutdinov, 2006).

Parameters on 28x28x1:

- `Autoencoder()`: 965,604
- `ConvAutoencoder()`: 1,657,109

`ConvAutoencoder` has strided and transposed convolutions. Trained on corrupted images,
either model is the denoising autoencoder (Vincent et al., 2008).

Differences from the paper:

- The activation is ReLU instead of the logistic function.
- There are fewer and narrower layers by default.
- All layers are trained jointly, without layer-by-layer pretraining.
"""

import functools

import flax.linen as linen
from jaxtyping import Float

from fdl import nn
from fdl.arrays import Array
from fdl.models.coders import ConvDecoder, ConvEncoder, DenseDecoder, DenseEncoder


class Autoencoder(linen.Module):
    """Autoencoder of images (Hinton & Salakhutdinov, 2006, Science 313).

    A linear layer turns the features of the encoder into a code, from which the decoder
    reconstructs the image.

    Attributes:
        latent_size: Size of the code, at least 1.
        encoder: Module from an image to features.
        decoder: Module from a code to the logits of an image.

    Example:
        >>> import jax
        >>> model, images = Autoencoder(), jax.numpy.ones((2, 28, 28, 1))
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), images)
        >>> jax.eval_shape(model.apply, variables, images).shape
        (2, 28, 28, 1)
        >>> encode = functools.partial(model.apply, method="encode")
        >>> jax.eval_shape(encode, variables, images).shape
        (2, 20)
    """

    latent_size: int = 20
    encoder: linen.Module = DenseEncoder()
    decoder: linen.Module = DenseDecoder()

    def setup(self) -> None:
        """Create the layer between encoder and code."""
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

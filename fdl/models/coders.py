"""Encoders and decoders of autoencoders and variational autoencoders."""

import math

import flax.linen as linen
from jaxtyping import Float

from fdl import nn
from fdl.arrays import Array
from fdl.models.sizes import Sizes


class DenseEncoder(linen.Module):
    """Encoder with dense layers and ReLU (Kingma & Welling, 2014).

    The hidden layers of the encoder of arXiv:1312.6114, appendix C.2, without its
    output layers. Differs from the paper in ReLU instead of tanh, and in two layers
    instead of one.

    Attributes:
        hidden_sizes: Widths of the layers, from first to last.

    Example:
        >>> import jax
        >>> encoder, images = DenseEncoder((64, 32)), jax.numpy.ones((2, 28, 28, 1))
        >>> variables = jax.eval_shape(encoder.init, jax.random.key(0), images)
        >>> jax.eval_shape(encoder.apply, variables, images).shape
        (2, 32)
    """

    hidden_sizes: tuple[int, ...] = (400, 400)

    @linen.compact
    def __call__(
        self, image: Float[Array, "*batch height width channels"]
    ) -> Float[Array, "*batch features"]:
        """Return features of images in [0, 1]."""
        x = image.reshape(*image.shape[:-3], -1)
        for layer, features in enumerate(self.hidden_sizes, start=1):
            x = nn.relu(nn.Dense(features, name=f"dense{layer}")(x))
        return x


class DenseDecoder(linen.Module):
    """Decoder with dense layers and ReLU (Kingma & Welling, 2014).

    The Bernoulli decoder of arXiv:1312.6114, appendix C.1, with the same differences as
    `DenseEncoder`.

    Attributes:
        hidden_sizes: Widths of the hidden layers, from first to last.
        image_shape: Height, width and channels of the image.

    Example:
        >>> import jax
        >>> decoder, latents = DenseDecoder((32, 64)), jax.numpy.ones((2, 20))
        >>> variables = jax.eval_shape(decoder.init, jax.random.key(0), latents)
        >>> jax.eval_shape(decoder.apply, variables, latents).shape
        (2, 28, 28, 1)
    """

    hidden_sizes: tuple[int, ...] = (400, 400)
    image_shape: tuple[int, int, int] = (28, 28, 1)

    @linen.compact
    def __call__(
        self, z: Float[Array, "*batch latent"]
    ) -> Float[Array, "*batch height width channels"]:
        """Return the logits of pixels."""
        x = z
        for layer, features in enumerate(self.hidden_sizes, start=1):
            x = nn.relu(nn.Dense(features, name=f"dense{layer}")(x))
        x = nn.Dense(math.prod(self.image_shape), name="head")(x)
        return x.reshape(*z.shape[:-1], *self.image_shape)


class ConvEncoder(linen.Module):
    """Encoder with strided convolutions (after Radford et al., 2016).

    3x3 convolutions with ReLU, each of which halves the size of the image, then a dense
    layer. Differs from the discriminator of DCGAN (arXiv:1511.06434) in ReLU, in 3x3
    kernels, and in having no batch normalization.

    Attributes:
        features: Number of kernels of each convolution.
        hidden_size: Width of the dense layer.

    Example:
        >>> import jax
        >>> encoder, images = ConvEncoder((4, 8), 16), jax.numpy.ones((2, 28, 28, 1))
        >>> variables = jax.eval_shape(encoder.init, jax.random.key(0), images)
        >>> jax.eval_shape(encoder.apply, variables, images).shape
        (2, 16)
    """

    features: tuple[int, ...] = (32, 64)
    hidden_size: int = 256

    @linen.compact
    def __call__(
        self, image: Float[Array, "*batch height width channels"]
    ) -> Float[Array, "*batch {self.hidden_size}"]:
        """Return features of images in [0, 1]."""
        x = image
        for layer, features in enumerate(self.features, start=1):
            conv = nn.Conv2D(
                features, (3, 3), strides=(2, 2), padding="same", name=f"conv{layer}"
            )
            x = nn.relu(conv(x))
        x = x.reshape(*x.shape[:-3], -1)
        return nn.relu(nn.Dense(self.hidden_size, name="dense")(x))


class ConvDecoder(linen.Module):
    """Decoder with transposed convolutions (after Radford et al., 2016).

    The mirror image of `ConvEncoder`: two dense layers produce a small image with many
    channels, and 3x3 transposed convolutions, with ReLU between them, each double its
    size.

    Attributes:
        features: Channels of the small image and of each enlarged image except the
            last; one number for each doubling.
        hidden_size: Width of the first dense layer.
        image_shape: Height, width and channels of the image; height and width must be
            multiples of 2 to the power of the number of doublings.

    Raises:
        ValueError: If height or width is not such a multiple.

    Example:
        >>> import jax
        >>> decoder, latents = ConvDecoder((8, 4), 16), jax.numpy.ones((2, 20))
        >>> variables = jax.eval_shape(decoder.init, jax.random.key(0), latents)
        >>> jax.eval_shape(decoder.apply, variables, latents).shape
        (2, 28, 28, 1)
    """

    features: tuple[int, ...] = (64, 32)
    hidden_size: int = 256
    image_shape: tuple[int, int, int] = (28, 28, 1)

    @property
    def sizes(self) -> Sizes:
        """Image sizes that the decoder can produce."""
        times = 2 ** len(self.features)
        return Sizes(times, multiple=times)

    @linen.compact
    def __call__(
        self, z: Float[Array, "*batch latent"]
    ) -> Float[Array, "*batch height width channels"]:
        """Return the logits of pixels."""
        height, width, channels = self.image_shape
        times = 2 ** len(self.features)
        if height % times or width % times:
            raise ValueError(
                f"image_shape={self.image_shape} cannot be reached by "
                f"{len(self.features)} doublings: use multiples of {times}, or fewer "
                "features."
            )
        small = (height // times, width // times, self.features[0])
        x = nn.relu(nn.Dense(self.hidden_size, name="dense1")(z))
        x = nn.Dense(math.prod(small), name="dense2")(x)
        x = x.reshape(*x.shape[:-1], *small)
        for layer, features in enumerate((*self.features[1:], channels), start=1):
            conv = nn.Conv2DTranspose(
                features, (3, 3), strides=(2, 2), padding="same", name=f"conv{layer}"
            )
            x = conv(nn.relu(x))
        return x

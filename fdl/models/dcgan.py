"""DCGAN for small images (Radford et al., 2016).

Parameters:

- `DCGANGenerator()` from 64 latents: 234,177
- `DCGANDiscriminator()` on 28x28x1: 36,513

Differences from the paper:

- There are two layers with stride 2 instead of four, since images are small.
- Kernels are 4x4 instead of 5x5; in the generator, a multiple of the stride avoids
  checkerboard artifacts (Odena et al., 2016).
- Weights are drawn from Glorot's distribution instead of N(0, 0.02).
- The discriminator has dropout instead of batch normalization, as in TensorFlow's
  tutorial: this keeps examples independent, as the gradient penalty requires.
"""

import functools
from typing import ClassVar

import flax.linen as linen
from jaxtyping import Float

from fdl import nn
from fdl.arrays import Array, Number
from fdl.models.sizes import Sizes


class DCGANGenerator(linen.Module):
    """Generator of DCGAN (Radford et al., 2016, arXiv:1511.06434) for small images.

    A dense layer turns the latents into a quarter-size image with many channels, and
    two transposed convolutions each double its size. Batch normalization and ReLU
    follow every layer except the last, which has tanh.

    Attributes:
        image_shape: Height, width and channels of an image; height and width must be
            multiples of 4.
        features: Number of channels at a quarter and at half of the image size.
        momentum: Momentum of the running statistics; see `nn.BatchNormalization`.

    Raises:
        ValueError: If height or width is not a multiple of 4.

    Example:
        >>> import jax
        >>> model = DCGANGenerator()
        >>> latent = jax.random.normal(jax.random.key(0), (2, 64))
        >>> variables = jax.eval_shape(model.init, jax.random.key(1), latent)
        >>> jax.eval_shape(model.apply, variables, latent).shape
        (2, 28, 28, 1)
    """

    image_shape: tuple[int, int, int] = (28, 28, 1)
    features: tuple[int, int] = (64, 32)
    momentum: float = 0.99

    sizes: ClassVar = Sizes(4, multiple=4)

    @linen.compact
    def __call__(
        self, latent: Float[Array, "*batch latent"], *, train: bool = False
    ) -> Float[Array, "*batch height width channels"]:
        """Return images in [-1, 1]; with `train`, normalize by batch statistics."""
        height, width, channels = self.image_shape
        if height % 4 or width % 4:
            raise ValueError(
                f"image_shape={self.image_shape}: height and width must be multiples "
                "of 4. Pad the images."
            )
        norm = functools.partial(nn.BatchNormalization, momentum=self.momentum)
        first, second = self.features
        x = nn.Dense(height // 4 * (width // 4) * first, use_bias=False, name="dense")(
            latent
        )
        x = x.reshape(*x.shape[:-1], height // 4, width // 4, first)
        x = nn.relu(norm(name="norm1")(x, train=train))
        x = nn.Conv2DTranspose(
            second, (4, 4), (2, 2), "same", use_bias=False, name="conv1"
        )(x)
        x = nn.relu(norm(name="norm2")(x, train=train))
        x = nn.Conv2DTranspose(channels, (4, 4), (2, 2), "same", name="conv2")(x)
        return nn.tanh(x)


class DCGANDiscriminator(linen.Module):
    """Discriminator of DCGAN (Radford et al., 2016, arXiv:1511.06434).

    Two convolutions with stride 2, each followed by a leaky ReLU of slope 0.2, and a
    dense layer. Returns the logit; the sigmoid is part of the loss.

    Attributes:
        features: Number of kernels of each of the two convolutions.
        dropout_rate: Fraction of the values dropped after each convolution in
            training, in [0, 1); needs the random key `dropout` if above 0.

    Example:
        >>> import jax
        >>> model = DCGANDiscriminator()
        >>> images = jax.numpy.ones((2, 28, 28, 1))
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), images)
        >>> jax.eval_shape(model.apply, variables, images).shape
        (2, 1)
    """

    features: tuple[int, int] = (32, 64)
    dropout_rate: Number = 0.0

    @linen.compact
    def __call__(
        self,
        image: Float[Array, "*batch height width channels"],
        *,
        train: bool = False,
    ) -> Float[Array, "*batch 1"]:
        """Return the logit of images in [-1, 1]."""
        x = image
        for layer, features in enumerate(self.features, start=1):
            x = nn.Conv2D(features, (4, 4), (2, 2), "same", name=f"conv{layer}")(x)
            x = nn.Dropout(self.dropout_rate)(nn.leaky_relu(x), train=train)
        x = x.reshape(*x.shape[:-3], -1)
        return nn.Dense(1, name="head")(x)

"""The Vision Transformer (Dosovitskiy et al., 2021).

Parameters on 28x28x1:

- `VisionTransformer(10)` of 4 blocks, 7x7 patches: 204,938

Differences from the paper:

- The epsilon of layer normalization is Keras'.
- Weights are drawn from Keras' initial distributions.
- The head sees the mean over patches; `pooling="token"` gives the paper's class token.
"""

from typing import Literal

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Float

from fdl import nn
from fdl.arrays import Array
from fdl.models.sizes import Sizes
from fdl.ranges import require_whole


class VisionTransformer(linen.Module):
    """Image classifier by patches (Dosovitskiy et al., 2021, arXiv:2010.11929).

    The image is cut into square patches, which the dense layer `patch` embeds; learned
    positions, the blocks of the encoder and the dense layer `head` follow.

    Attributes:
        num_classes: Number of classes, at least 2; or 1, for a single logit.
        encoder: The stack of blocks; `norm="pre"` and `activation=nn.gelu` in the
            paper.
        features: Width of the embeddings; the encoder's heads must divide it.
        patch_size: Height and width of a patch in pixels, at least 1; must divide the
            height and width of the image.
        pooling: Input of the head: `"mean"` for the mean over patches, or `"token"` for
            the output at a learned token before the first patch, as in the paper.

    Raises:
        ValueError: If the patches do not fill the image, or `pooling` is unknown.

    Example:
        >>> import jax
        >>> encoder = nn.TransformerEncoder(num_layers=2, num_heads=4, norm="pre")
        >>> model = VisionTransformer(10, encoder, features=32, patch_size=7)
        >>> images = jnp.ones((2, 28, 28, 1))
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), images)
        >>> jax.eval_shape(model.apply, variables, images).shape
        (2, 10)
    """

    num_classes: int
    encoder: nn.TransformerStack
    features: int = 64
    patch_size: int = 7
    pooling: Literal["mean", "token"] = "mean"

    @property
    def sizes(self) -> Sizes:
        """Image sizes that are multiples of the patch size."""
        return Sizes(self.patch_size, multiple=self.patch_size)

    @linen.compact
    def __call__(
        self,
        image: Float[Array, "*batch height width channels"],
        *,
        train: bool = False,
    ) -> Float[Array, "*batch {self.num_classes}"]:
        """Return the logits of images in [0, 1]."""
        require_whole("[1, inf)", num_classes=self.num_classes)
        x = nn.Dense(self.features, name="patch")(patches(image, self.patch_size))
        if self.pooling == "token":
            first = nn.Embedding(1, self.features, name="token")(jnp.int32([0]))
            first = jnp.broadcast_to(first, (*x.shape[:-2], *first.shape))
            x = jnp.concatenate([first.astype(x.dtype), x], axis=-2)
        elif self.pooling != "mean":
            raise ValueError(f"pooling={self.pooling!r} must be 'mean' or 'token'.")
        x = nn.Positions("learned", x.shape[-2], name="position")(x)
        x = nn.Dropout(self.encoder.dropout_rate)(x, train=train)
        x = self.encoder(x, train=train)
        x = x[..., 0, :] if self.pooling == "token" else jnp.mean(x, axis=-2)
        return nn.Dense(self.num_classes, name="head")(x)


def patches(
    image: Float[Array, "*batch height width channels"], size: int
) -> Float[Array, "*batch patches pixels"]:
    """Cut images into square patches, row by row, and flatten each.

    Raises:
        ValueError: If the patches do not fill the image.

    Example:
        >>> patches(jnp.arange(16.0).reshape(4, 4, 1), 2)[1]
        Array([2., 3., 6., 7.], dtype=float32)
    """
    *batch, height, width, channels = image.shape
    if size < 1 or height % size or width % size:
        raise ValueError(
            f"patches of {size}x{size} pixels do not fill an image of "
            f"{height}x{width}: choose a divisor of both."
        )
    rows, columns = height // size, width // size
    x = image.reshape(*batch, rows, size, columns, size, channels)
    return jnp.swapaxes(x, -3, -4).reshape(*batch, rows * columns, -1)

"""What convolutional classifiers share: feature maps by stride, and how they end."""

from typing import Literal

import flax.linen as linen
from jaxtyping import Float

from fdl import nn
from fdl.arrays import Array
from fdl.models.sizes import sizes

Pooling = Literal["avg", "max"] | None
"""What a model without a head returns for each channel of the last feature map: the
mean, the largest pixel, or all pixels."""

Stages = dict[int, Float[Array, "*batch _ _ _"]]
"""The last feature map of each stride, in pixels of the image, ascending."""


class Backbone(linen.Module):
    """Base of classifiers that end in a mean over pixels and a dense layer.

    What has another end overrides `head`.

    Attributes:
        num_classes: Number of classes, at least 2.
        include_top: Whether to classify; if not, the model returns features.
        pooling: What it returns of them, see `Pooling`.
        momentum: Of batch normalization. Keras' 0.99 takes some 500 steps to forget the
            start; 0.9 suits short trainings.
    """

    num_classes: int
    include_top: bool = True
    pooling: Pooling = None
    momentum: float = 0.99

    def setup(self) -> None:
        """Define the last layer."""
        self.predictions = nn.Dense(self.num_classes)

    def __call__(
        self,
        image: Float[Array, "*batch height width channels"],
        *,
        train: bool = False,
    ) -> Float[Array, "*batch_and_pixels out"]:
        """Return the logits of images; with `train`, normalize by batch statistics."""
        *_, last = self.features(image, train=train).values()
        if self.include_top:
            return self.head(last, train=train)
        return pooled(last, self.pooling)

    def features(
        self,
        image: Float[Array, "*batch height width channels"],
        *,
        train: bool = False,
    ) -> Stages:
        """Return the feature maps of images by stride.

        Raises:
            ValueError: If the model does not take images of this size.
        """
        require_size(self, image)
        return self.stages(image, train=train)

    def stages(self, image: Array, *, train: bool) -> Stages:
        """Compute the feature maps: all layers but those of the head."""
        raise NotImplementedError

    def head(self, x: Array, *, train: bool) -> Array:
        """Return the logits of the last feature map."""
        return self.predictions(nn.global_avg_pool(x))


def pooled(
    x: Float[Array, "*batch height width channels"], pooling: Pooling
) -> Float[Array, "*batch_and_pixels channels"]:
    """Return what is asked for of a feature map.

    Raises:
        ValueError: If `pooling` is unknown.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.arange(8.0).reshape(2, 2, 2)
        >>> pooled(x, "avg"), pooled(x, None).shape
        (Array([3., 4.], dtype=float32), (2, 2, 2))
    """
    if pooling is None:
        return x
    if pooling == "avg":
        return nn.global_avg_pool(x)
    if pooling == "max":
        return nn.global_max_pool(x)
    raise ValueError(f"pooling={pooling!r} must be 'avg', 'max' or None.")


def require_size(
    model: linen.Module, image: Float[Array, "*batch height width channels"]
) -> None:
    """Raise ValueError unless images are of a size that the model takes.

    Example:
        >>> import jax
        >>> from fdl.models import ResNet50
        >>> ResNet50(10).init(jax.random.key(0), jax.numpy.ones((1, 28, 28, 3)))
        Traceback (most recent call last):
        ValueError: ResNet takes images from 32x32 pixels to any size, not 28x28: ...
    """
    height, width = image.shape[-3:-1]
    for allowed in sizes(model):
        if not (allowed.allow(height) and allowed.allow(width)):
            raise ValueError(
                f"{type(model).__name__} takes images {allowed}, not "
                f"{height}x{width}: resize or pad them."
            )

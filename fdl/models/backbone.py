"""What convolutional classifiers share: feature maps by stride, and how they end."""

from typing import Any, ClassVar, Literal

import flax.linen as linen
import jax
import jax.numpy as jnp
from jaxtyping import Float, Shaped

from fdl import nn
from fdl.arrays import Array
from fdl.models.sizes import sizes

Pooling = Literal["avg", "max"] | None
"""What a model without a head returns for each channel of the last feature map: the
mean, the largest pixel, or all pixels."""

Preprocessing = Literal["caffe", "tf", "torch"]
"""What becomes of pixels from 0 to 255, by the program whose users began with it."""

Stages = dict[int, Float[Array, "*batch _ _ _"]]
"""The last feature map of each stride, in pixels of the image, ascending."""


class Backbone(linen.Module):
    """Base of classifiers that end in a mean over pixels and a dense layer.

    What has another end overrides `head`.

    Attributes:
        num_classes: Number of classes, at least 2.
        include_top: Whether to classify; if not, the model returns features.
        pooling: What it returns of them, see `Pooling`.
        preprocessing: What the weights that Keras publishes for the model want of
            photographs, see `preprocess`; None if there are none.
    """

    num_classes: int
    include_top: bool = True
    pooling: Pooling = None

    preprocessing: ClassVar[Preprocessing | None] = None

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


def backbone_layers(model: Backbone, image: Any) -> tuple[str, ...]:
    """Return the names of a model's layers before its head: those of `features`.

    They are what to load where a head is to be new, and what to freeze:
    `fdl.keras.load_weights(..., only=)`, `fdl.nn.Frozen` and `fdl.learners.frozen` take
    them.

    Args:
        model: The model.
        image: An example of its inputs, of which only the shape is used.

    Example:
        >>> from fdl.models import VGG
        >>> model = VGG(10, block_sizes=(1, 1), widths=(4, 8), hidden_sizes=(16,))
        >>> backbone_layers(model, jnp.ones((1, 28, 28, 1)))
        ('block1_conv1', 'block2_conv1')
    """
    like = jax.ShapeDtypeStruct(image.shape, jnp.float32)
    features = lambda x: model.init(jax.random.key(0), x, method="features")
    return tuple(jax.eval_shape(features, like)["params"])


def conv2d(
    x: Array, features: int, size: int, stride: int, use_bias: bool = True, *, name: str
) -> Array:
    """Convolve with as much of a border on all sides, whatever the stride."""
    if stride > 1 and size > 1:  # else `same` has more of it below and on the right
        x = nn.zero_pad(x, size // 2)
    padding = "same" if stride == 1 else "valid"
    strides = stride, stride
    conv = nn.Conv2D(
        features, (size, size), strides, padding, use_bias=use_bias, name=name
    )
    return conv(x)


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


def preprocess(
    image: Shaped[Array, "*batch height width channels"], mode: Preprocessing
) -> Float[Array, "*batch height width channels"]:
    """Return photographs as the published weights of a model want them.

    The function `preprocess_input` of Keras.

    Args:
        image: Red, green and blue, from 0 to 255; or gray alone, which becomes the mean
            of what it would as three colors.
        mode: `"tf"` for numbers in [-1, 1]; `"torch"` for numbers in [0, 1] minus the
            mean of ImageNet, divided by its deviation, channel by channel; `"caffe"`
            for blue, green and red minus their means. A model's is
            `model.preprocessing`.

    Raises:
        ValueError: If `mode` is unknown, or there are neither 1 nor 3 channels.

    Example:
        >>> preprocess(jnp.full((1, 1, 3), 255), "tf")
        Array([[[1., 1., 1.]]], dtype=float32)
    """
    x = jnp.asarray(image)
    x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(jnp.float32)
    channels = x.shape[-1]
    if channels == 1:
        colored = preprocess(jnp.repeat(x, 3, axis=-1), mode)
        return colored.mean(axis=-1, keepdims=True)
    if channels != 3:
        raise ValueError(
            f"image has {channels} channels, but photographs have 3, or 1 if gray: "
            "bring them to that form (DATASET?channels=3)."
        )
    channel = lambda values: jnp.broadcast_to(jnp.asarray(values, x.dtype), x.shape)
    if mode == "tf":
        return x / 127.5 - 1
    if mode == "torch":
        x = x / 255 - channel((0.485, 0.456, 0.406))
        return x / channel((0.229, 0.224, 0.225))
    if mode == "caffe":
        return x[..., ::-1] - channel((103.939, 116.779, 123.68))
    raise ValueError(f"mode={mode!r} must be 'caffe', 'tf' or 'torch'.")


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

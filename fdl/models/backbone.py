"""Base of convolutional classifiers: feature maps by stride, and the head."""

from typing import Any, ClassVar, Literal

import flax.linen as linen
import jax
import jax.numpy as jnp
from jaxtyping import Float, Shaped

from fdl import nn
from fdl.arrays import Array
from fdl.models.sizes import sizes
from fdl.ranges import require_whole

Pooling = Literal["avg", "max"] | None
"""What a model without a head returns of the last feature map: the mean or the maximum
of each channel, or the whole map (None)."""

Preprocessing = Literal["caffe", "tf", "torch"]
"""Scaling of pixels from 0 to 255, named after the framework that introduced it."""

Stages = dict[int, Float[Array, "*batch _ _ _"]]
"""The last feature map at each stride, in pixels of the image, by ascending stride."""


class Backbone(linen.Module):
    """Base of classifiers that end in a mean over pixels and a dense layer.

    Models with a different head override `head`.

    Attributes:
        num_classes: Number of classes, at least 2; or 1, for a single logit.
        include_top: Whether to classify; otherwise the model returns features.
        pooling: Pooling of these features; see `Pooling`.
        preprocessing: Mode of `preprocess` for the weights that Keras publishes for the
            model; None if there are no such weights.
    """

    num_classes: int
    include_top: bool = True
    pooling: Pooling = None

    preprocessing: ClassVar[Preprocessing | None] = None

    def setup(self) -> None:
        """Check the options, and define the last layer."""
        if self.include_top:
            require_whole("[1, inf)", num_classes=self.num_classes)
        require_pooling(self.pooling)
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
            ValueError: If the model does not support images of this size.
        """
        require_size(self, image)
        return self.stages(image, train=train)

    def stages(self, image: Array, *, train: bool) -> Stages:
        """Compute the feature maps: all layers except the head."""
        raise NotImplementedError

    def head(self, x: Array, *, train: bool) -> Array:
        """Return the logits of the last feature map."""
        return self.predictions(nn.global_avg_pool(x))


def backbone_layers(model: Backbone, image: Any) -> tuple[str, ...]:
    """Return the names of a model's layers before its head: those of `features`.

    Use them to load or freeze everything except a new head: pass them to
    `fdl.keras.load_weights(..., only=)`, `fdl.nn.Frozen` or `fdl.learners.frozen`.

    Args:
        model: The model.
        image: An example input; only its shape is used.

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
    """Convolve with the same padding on all sides, whatever the stride."""
    if stride > 1 and size > 1:  # `same` would pad more at the bottom and right
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
    """Pool a feature map over its pixels, or return it whole.

    Raises:
        ValueError: If `pooling` is unknown.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jnp.arange(8.0).reshape(2, 2, 2)
        >>> pooled(x, "avg"), pooled(x, None).shape
        (Array([3., 4.], dtype=float32), (2, 2, 2))
    """
    require_pooling(pooling)
    if pooling is None:
        return x
    return nn.global_avg_pool(x) if pooling == "avg" else nn.global_max_pool(x)


def require_pooling(pooling: Pooling) -> None:
    """Raise ValueError unless a pooling is known."""
    if pooling not in ("avg", "max", None):
        raise ValueError(f"pooling={pooling!r} must be 'avg', 'max' or None.")


def preprocess(
    image: Shaped[Array, "*batch height width channels"], mode: Preprocessing
) -> Float[Array, "*batch height width channels"]:
    """Scale photographs as a model's published weights expect them.

    Keras' `preprocess_input`.

    Args:
        image: Red, green and blue, from 0 to 255; or a single gray channel, which is
            treated as three equal colors and averaged again.
        mode: `"tf"` for values in [-1, 1]; `"torch"` for values in [0, 1] minus
            ImageNet's mean, divided by its standard deviation, channel by channel;
            `"caffe"` for blue, green and red minus their means. See
            `model.preprocessing` for a model's mode.

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
            "convert them (DATASET?channels=3)."
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
    """Raise ValueError unless the model supports images of this size.

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

"""ResNet (He et al., 2015), ResNet V2 (He et al., 2016), SE-ResNet (Hu et al., 2018).

Parameters for 1000 classes, on 3 channels, without the running statistics:

- `ResNet18`: 11,694,312
- `ResNet34`: 21,806,184
- `ResNet50`: 25,583,592
- `ResNet101`: 44,601,832
- `ResNet152`: 60,268,520
- `ResNet50V2`: 25,568,360
- `SEResNet50`: 28,088,024
- `ResNet50(1000, stride_in="3x3", use_bias=False)`, known as "v1.5": 25,557,032

The networks are Keras'. `ResNet18` and `ResNet34`, which Keras does not have, follow
the same plan with two 3x3 convolutions a block. The convolutions of `SEResNet50` have
no biases, as in its authors' network.

Differences from the papers:

- Convolutions have biases although batch normalization follows, as in Keras.
- The epsilon of batch normalization is 1.001e-5, as in Keras.
- In V2, the last block of a stage has the stride, and its shortcut takes every second
  pixel, as in Keras and TF-slim; in the paper, the first block has the stride.
"""

import functools
from typing import Any, ClassVar, Literal

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Float

from fdl import nn
from fdl.arrays import Array
from fdl.models.backbone import Backbone, Stages, conv2d
from fdl.models.sizes import Sizes
from fdl.ranges import require_whole

EPSILON = 1.001e-5

Shortcut = Literal["A", "B"] | None
"""How a shortcut changes its shape (He et al., 2015, section 3.3): every second pixel,
with zeros for the new channels (A), or a 1x1 convolution (B). None for a plain network,
without shortcuts."""


class SqueezeExcitation(linen.Module):
    """Gates on channels (Hu et al., 2018, arXiv:1709.01507).

    Two dense layers, with ReLU and sigmoid, compute the factor of each channel from the
    means of all channels.

    Attributes:
        ratio: Channels per hidden unit, from 1 to the number of channels.

    Raises:
        ValueError: If there are fewer channels than `ratio`.

    Example:
        >>> import jax
        >>> x = jax.numpy.ones((2, 7, 7, 32))
        >>> gated, _ = SqueezeExcitation(16).init_with_output(jax.random.key(0), x)
        >>> gated.shape
        (2, 7, 7, 32)
    """

    ratio: int = 16

    @linen.compact
    def __call__(
        self, x: Float[Array, "*batch height width channels"]
    ) -> Float[Array, "*batch height width channels"]:
        """Multiply each channel by its gate."""
        channels = x.shape[-1]
        if not 1 <= self.ratio <= channels:
            raise ValueError(
                f"ratio={self.ratio} must be from 1 to the number of channels, "
                f"{channels}."
            )
        gate = nn.global_avg_pool(x)
        gate = nn.relu(nn.Dense(channels // self.ratio, name="reduce")(gate))
        gate = nn.sigmoid(nn.Dense(channels, name="expand")(gate))
        return x * gate[..., None, None, :]


class ResidualBlock(linen.Module):
    """Residual block (He et al., 2015): the input plus a learned function of it.

    Two 3x3 convolutions, or a bottleneck of 1x1, 3x3 and 1x1 with four times as many
    channels at the end; normalized, with ReLU between them and after the sum.

    Attributes:
        features: Channels inside.
        stride: Stride of the block.
        bottleneck: Whether the block is a bottleneck.
        stride_in: The convolution of a bottleneck that has the stride.
        use_bias: Whether convolutions have biases.
        se_ratio: Ratio of `SqueezeExcitation` before the sum; None for none.
        shortcut: How the shortcut changes its shape; see `Shortcut`.
        momentum: Momentum of batch normalization.
    """

    features: int
    stride: int = 1
    bottleneck: bool = True
    stride_in: Literal["1x1", "3x3"] = "1x1"
    use_bias: bool = True
    se_ratio: int | None = None
    shortcut: Shortcut = "B"
    momentum: float = 0.99

    @linen.compact
    def __call__(
        self, x: Float[Array, "*batch height width channels"], *, train: bool = False
    ) -> Float[Array, "*batch out_height out_width out_channels"]:
        """Return the features."""

        def conv(x: Array, layer: int, features: int, size: int, stride: int) -> Array:
            x = conv2d(x, features, size, stride, self.use_bias, name=f"{layer}_conv")
            return normalized(self, x, train, name=f"{layer}_bn")

        features, stride, identity = self.features, self.stride, x
        out = 4 * features if self.bottleneck else features
        if self.shortcut and (stride > 1 or x.shape[-1] != out):
            if self.shortcut == "A":
                identity = zero_extended(x, out, stride)
            else:
                identity = conv(x, 0, out, 1, stride)
        if self.bottleneck:
            first, second = (stride, 1) if self.stride_in == "1x1" else (1, stride)
            x = nn.relu(conv(x, 1, features, 1, first))
            x = nn.relu(conv(x, 2, features, 3, second))
            x = conv(x, 3, out, 1, 1)
        else:
            x = nn.relu(conv(x, 1, features, 3, stride))
            x = conv(x, 2, features, 3, 1)
        if self.se_ratio is not None:
            x = SqueezeExcitation(self.se_ratio, name="se")(x)
        return nn.relu(identity + x if self.shortcut else x)


class PreactivationBlock(linen.Module):
    """Bottleneck with normalization before its layers (He et al., 2016), as in Keras.

    Attributes:
        features: Channels inside; four times as many outside.
        stride: Stride of the block.
        project: Whether the shortcut has a 1x1 convolution.
        momentum: Momentum of batch normalization.
    """

    features: int
    stride: int = 1
    project: bool = False
    momentum: float = 0.99

    @linen.compact
    def __call__(
        self, x: Float[Array, "*batch height width channels"], *, train: bool = False
    ) -> Float[Array, "*batch out_height out_width out_channels"]:
        """Return the features, without a final ReLU."""
        features, stride, identity = self.features, self.stride, x
        x = nn.relu(normalized(self, x, train, name="preact_bn"))
        if self.project:
            identity = conv2d(x, 4 * features, 1, stride, name="0_conv")
        elif stride > 1:
            identity = nn.max_pool(identity, (1, 1), strides=(stride, stride))
        x = conv2d(x, features, 1, 1, use_bias=False, name="1_conv")
        x = nn.relu(normalized(self, x, train, name="1_bn"))
        x = conv2d(x, features, 3, stride, use_bias=False, name="2_conv")
        x = nn.relu(normalized(self, x, train, name="2_bn"))
        return identity + conv2d(x, 4 * features, 1, 1, name="3_conv")


class ResNet(Backbone):
    """Residual network (He et al., 2015, arXiv:1512.03385), as in Keras.

    A 7x7 convolution and a pooling, each with stride 2, four stages of blocks, the mean
    over pixels, and a dense layer. `ResNet50` and the others are partial applications
    of it.

    Attributes:
        num_classes: Number of classes, at least 2; or 1, for a single logit.
        stage_sizes: Number of blocks of each stage; all but the first stage begin with
            stride 2 and have twice as many channels as the previous one.
        bottleneck: Whether blocks are bottlenecks of three layers instead of two 3x3
            convolutions.
        stride_in: The convolution of a bottleneck that has the stride: `"1x1"` as in
            the paper and Keras, `"3x3"` as in "v1.5".
        use_bias: Whether convolutions have biases, as in Keras.
        se_ratio: Ratio of squeeze-and-excitation in each block; None for none.
        width: Channels of the first convolution, and inside the blocks of the first
            stage; at least 1.
        include_top: Whether to classify; otherwise the model returns features.
        pooling: `"avg"` or `"max"` for one feature per channel; None for the whole map.
        momentum: Momentum of batch normalization; use 0.9 for runs of a few hundred
            steps.

    Raises:
        ValueError: If images are smaller than 32 pixels, or an option is out of range.

    Example:
        >>> import jax
        >>> model = ResNet50(num_classes=10)
        >>> images = jax.numpy.ones((2, 64, 64, 3))
        >>> start = functools.partial(model.init_with_output, jax.random.key(0))
        >>> logits, variables = jax.eval_shape(start, images)
        >>> logits.shape
        (2, 10)
        >>> apply = functools.partial(model.apply, method="features")
        >>> stages = jax.eval_shape(apply, variables, images)
        >>> [(stride, x.shape[1:]) for stride, x in stages.items()][:3]
        [(2, (32, 32, 64)), (4, (16, 16, 256)), (8, (8, 8, 512))]
    """

    stage_sizes: tuple[int, ...] = (3, 4, 6, 3)
    bottleneck: bool = True
    stride_in: Literal["1x1", "3x3"] = "1x1"
    use_bias: bool = True
    se_ratio: int | None = None
    width: int = 64
    momentum: float = 0.99

    sizes: ClassVar = Sizes(32)
    preprocessing = "caffe"

    def setup(self) -> None:
        """Check the options."""
        require_whole("[1, inf)", stage_sizes=self.stage_sizes, width=self.width)
        if self.stride_in not in ("1x1", "3x3"):
            raise ValueError(f"stride_in={self.stride_in!r} must be '1x1' or '3x3'.")
        super().setup()

    @linen.compact
    def stages(self, image: Array, *, train: bool) -> Stages:
        """Compute the feature maps."""
        x = conv2d(image, self.width, 7, 2, self.use_bias, name="conv1_conv")
        x = nn.relu(normalized(self, x, train, name="conv1_bn"))
        stages: Stages = {2: x}
        x = nn.max_pool(nn.zero_pad(x), (3, 3), strides=(2, 2))
        for stage, blocks in enumerate(self.stage_sizes):
            for block in range(blocks):
                x = ResidualBlock(
                    self.width << stage,
                    2 if stage and not block else 1,
                    self.bottleneck,
                    self.stride_in,
                    self.use_bias,
                    self.se_ratio,
                    momentum=self.momentum,
                    name=f"conv{stage + 2}_block{block + 1}",
                )(x, train=train)
            stages[4 << stage] = x
        return stages


class ResNetV2(Backbone):
    """Residual network with pre-activation (He et al., 2016, arXiv:1603.05027).

    Like `ResNet`, but normalization and ReLU come before the convolutions, nothing
    follows a sum, and the last block of a stage has the stride, as in Keras.

    Attributes:
        num_classes: Number of classes, at least 2; or 1, for a single logit.
        stage_sizes: Number of blocks of each stage, at least 2; all but the last stage
            end with stride 2.
        width: Channels of the first convolution, at least 1.
        include_top: Whether to classify; otherwise the model returns features.
        pooling: `"avg"` or `"max"` for one feature per channel; None for the whole map.
        momentum: Momentum of batch normalization; use 0.9 for runs of a few hundred
            steps.

    Raises:
        ValueError: If images are smaller than 32 pixels, or an option is out of range.

    Example:
        >>> import jax
        >>> model = ResNet50V2(num_classes=10, include_top=False)
        >>> images = jax.numpy.ones((2, 64, 64, 3))
        >>> start = functools.partial(model.init_with_output, jax.random.key(0))
        >>> jax.eval_shape(start, images)[0].shape
        (2, 2, 2, 2048)
    """

    stage_sizes: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64
    momentum: float = 0.99

    sizes: ClassVar = Sizes(32)
    preprocessing = "tf"

    def setup(self) -> None:
        """Check the options."""
        require_whole("[2, inf)", stage_sizes=self.stage_sizes)
        require_whole("[1, inf)", width=self.width)
        super().setup()

    @linen.compact
    def stages(self, image: Array, *, train: bool) -> Stages:
        """Compute the feature maps: all but the first and the last are sums."""
        x = conv2d(image, self.width, 7, 2, name="conv1_conv")
        stride = 4
        stages: Stages = {2: x}
        x = nn.max_pool(nn.zero_pad(x), (3, 3), strides=(2, 2))
        last = len(self.stage_sizes) - 1
        for stage, blocks in enumerate(self.stage_sizes):
            for block in range(blocks):
                step = 2 if block == blocks - 1 and stage < last else 1
                x = PreactivationBlock(
                    self.width << stage,
                    step,
                    block == 0,
                    self.momentum,
                    name=f"conv{stage + 2}_block{block + 1}",
                )(x, train=train)
                stride *= step
                stages[stride] = x
        stages[stride] = nn.relu(normalized(self, x, train, name="post_bn"))
        return stages


def zero_extended(x: Array, features: int, stride: int) -> Array:
    """Return pixels a stride apart, with channels of zeros appended."""
    x = nn.max_pool(x, (1, 1), strides=(stride, stride))
    new = features - x.shape[-1]
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, new)])


def normalized(module: Any, x: Array, train: bool, *, name: str) -> Array:
    """Apply batch normalization with the momentum of a module."""
    norm = nn.BatchNormalization(momentum=module.momentum, epsilon=EPSILON, name=name)
    return norm(x, train=train)


ResNet18 = functools.partial(ResNet, stage_sizes=(2, 2, 2, 2), bottleneck=False)
ResNet34 = functools.partial(ResNet, stage_sizes=(3, 4, 6, 3), bottleneck=False)
ResNet50 = functools.partial(ResNet, stage_sizes=(3, 4, 6, 3))
ResNet101 = functools.partial(ResNet, stage_sizes=(3, 4, 23, 3))
ResNet152 = functools.partial(ResNet, stage_sizes=(3, 8, 36, 3))
ResNet50V2 = functools.partial(ResNetV2, stage_sizes=(3, 4, 6, 3))
SEResNet50 = functools.partial(ResNet50, use_bias=False, se_ratio=16)

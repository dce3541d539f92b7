"""ResNet for small images (He et al., 2015, section 4.2; 2016).

Parameters for 10 classes, on 32x32x3, with the paper's shortcuts (A) and with
projections (B):

- Depth 20: 269,722 (A), 272,474 (B)
- Depth 32: 464,154 (A), 466,906 (B)
- Depth 44: 658,586 (A), 661,338 (B)
- Depth 56: 853,018 (A), 855,770 (B)
- Depth 110: 1,727,962 (A), 1,730,714 (B)

Parameters for 10 classes, on 28x28x1, with projections (B):

- Depth 8: 77,754
- Depth 14: 174,970

Differences from the paper:

- Weights are drawn from Keras' initial distributions.
- Batch normalization has Keras' momentum.
"""

from typing import ClassVar

import flax.linen as linen
from jaxtyping import Float

from fdl import nn
from fdl.arrays import Array
from fdl.models.backbone import Backbone, Stages, conv2d
from fdl.models.resnet import (
    ResidualBlock,
    Shortcut,
    SqueezeExcitation,
    normalized,
    zero_extended,
)
from fdl.models.sizes import Sizes
from fdl.ranges import require_depth, require_whole


class PreactivationPair(linen.Module):
    """Two 3x3 convolutions, normalized before each (He et al., 2016, arXiv:1603.05027).

    Where the shape changes, the shortcut starts after the first normalization.

    Attributes:
        features: Number of channels.
        stride: Stride of the first convolution.
        se_ratio: Ratio of `SqueezeExcitation` before the sum; None for none.
        shortcut: See `Shortcut`.
        momentum: Momentum of batch normalization.
    """

    features: int
    stride: int = 1
    se_ratio: int | None = None
    shortcut: Shortcut = "B"
    momentum: float = 0.99

    @linen.compact
    def __call__(
        self, x: Float[Array, "*batch height width channels"], *, train: bool = False
    ) -> Float[Array, "*batch out_height out_width {self.features}"]:
        """Return the features, without a final ReLU."""
        features, stride, identity = self.features, self.stride, x
        x = nn.relu(normalized(self, x, train, name="1_bn"))
        if stride > 1 or x.shape[-1] != features:
            if self.shortcut == "A":
                identity = zero_extended(x, features, stride)
            elif self.shortcut == "B":
                identity = conv2d(x, features, 1, stride, False, name="0_conv")
        x = conv2d(x, features, 3, stride, False, name="1_conv")
        x = nn.relu(normalized(self, x, train, name="2_bn"))
        x = conv2d(x, features, 3, 1, False, name="2_conv")
        if self.se_ratio is not None:
            x = SqueezeExcitation(self.se_ratio, name="se")(x)
        return identity + x if self.shortcut else x


class CIFARResNet(Backbone):
    """Residual network for small images (He et al., 2015, arXiv:1512.03385).

    A 3x3 convolution, three stages with the same number of blocks, each of two 3x3
    convolutions, the mean over pixels, and a dense layer.

    Attributes:
        num_classes: Number of classes, at least 2; or 1, for a single logit.
        include_top: Whether to classify; otherwise the model returns features.
        pooling: `"avg"` or `"max"` for one feature per channel; None for the whole map.
        depth: Number of layers: 6n + 2 for n blocks a stage, such as 8, 14, 20.
        width: Channels of the first stage, at least 1; each later stage doubles them.
        shortcut: `"A"` or `"B"`; None for the plain network that the paper compares
            with. See `fdl.models.resnet.Shortcut`.
        preactivation: Whether to normalize before convolutions (He et al., 2016)
            instead of after them.
        se_ratio: Ratio of squeeze-and-excitation in each block; None for none.
        momentum: Momentum of batch normalization; use 0.9 for runs of a few hundred
            steps.

    Raises:
        ValueError: If images are smaller than 8 pixels, or an option is out of range.

    Example:
        >>> import jax
        >>> model = CIFARResNet(num_classes=10, depth=8)
        >>> images = jax.numpy.ones((2, 28, 28, 1))
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), images)
        >>> jax.eval_shape(model.apply, variables, images).shape
        (2, 10)
        >>> CIFARResNet(num_classes=10, depth=18).init(jax.random.key(0), images)
        Traceback (most recent call last):
        ValueError: depth=18 must be 6n + 2 for n blocks a stage: 14 or ...
    """

    depth: int = 20
    width: int = 16
    shortcut: Shortcut = "B"
    preactivation: bool = False
    se_ratio: int | None = None
    momentum: float = 0.99

    sizes: ClassVar = Sizes(8)

    def setup(self) -> None:
        """Check the options."""
        require_whole("[8, inf)", depth=self.depth)
        require_depth(self.depth, 6, 2, "blocks a stage")
        require_whole("[1, inf)", width=self.width)
        if self.shortcut not in ("A", "B", None):
            raise ValueError(f"shortcut={self.shortcut!r} must be 'A', 'B' or None.")
        super().setup()

    @linen.compact
    def stages(self, image: Array, *, train: bool) -> Stages:
        """Compute the feature maps."""
        x = conv2d(image, self.width, 3, 1, False, name="conv1_conv")
        if not self.preactivation:
            x = nn.relu(normalized(self, x, train, name="conv1_bn"))
        stages: Stages = {}
        for stage in range(3):
            for block in range((self.depth - 2) // 6):
                features = self.width << stage
                stride = 2 if stage and not block else 1
                name = f"conv{stage + 2}_block{block + 1}"
                if self.preactivation:
                    layers = PreactivationPair(
                        features,
                        stride,
                        self.se_ratio,
                        self.shortcut,
                        self.momentum,
                        name=name,
                    )
                else:
                    layers = ResidualBlock(
                        features,
                        stride,
                        bottleneck=False,
                        use_bias=False,
                        se_ratio=self.se_ratio,
                        shortcut=self.shortcut,
                        momentum=self.momentum,
                        name=name,
                    )
                x = layers(x, train=train)
            stages[1 << stage] = x
        if self.preactivation:
            stages[4] = nn.relu(normalized(self, x, train, name="post_bn"))
        return stages

"""DenseNet, the densely connected network (Huang et al., 2017).

Parameters for 1000 classes, on 3 channels:

- `DenseNet121`: 7,978,856
- `DenseNet169`: 14,149,480
- `DenseNet201`: 20,013,928

Parameters of `CIFARDenseNet` for 10 classes, on 32x32x3:

- Depth 100: 769,162
- Depth 40, with `bc=False`: 1,019,722
- Depth 22: 71,686

The large networks are those of Keras and of the paper.

Differences from the paper:

- Weights are drawn from Keras' initial distributions.
"""

import functools
from typing import Any

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Float

from fdl import nn
from fdl.arrays import Array
from fdl.models.backbone import Backbone, Stages, conv2d
from fdl.models.resnet import normalized
from fdl.models.sizes import Sizes
from fdl.ranges import require_number, require_whole


class DenseLayer(linen.Module):
    """Layer that appends channels to its input (Huang et al., 2017, arXiv:1608.06993).

    Attributes:
        growth_rate: Number of new channels.
        bottleneck: Whether a 1x1 convolution to four times as many channels comes
            first.
        momentum: Momentum of batch normalization.
    """

    growth_rate: int
    bottleneck: bool = True
    momentum: float = 0.99

    @linen.compact
    def __call__(
        self, x: Float[Array, "*batch height width channels"], *, train: bool = False
    ) -> Float[Array, "*batch height width more_channels"]:
        """Return the old channels, followed by the new ones."""
        new = nn.relu(normalized(self, x, train, name="0_bn"))
        if self.bottleneck:
            new = conv2d(new, 4 * self.growth_rate, 1, 1, False, name="1_conv")
            new = nn.relu(normalized(self, new, train, name="1_bn"))
        name = "2_conv" if self.bottleneck else "1_conv"
        new = conv2d(new, self.growth_rate, 3, 1, False, name=name)
        return jnp.concatenate([x, new], axis=-1)


class DenseNet(Backbone):
    """Densely connected network (Huang et al., 2017, arXiv:1608.06993), as in Keras.

    In a block, each layer sees the features of all layers before it. Between blocks, a
    1x1 convolution reduces the channels, and 2x2 average pooling halves the map.
    `DenseNet121` and the others are partial applications of it; for small images, use
    `CIFARDenseNet`.

    Attributes:
        num_classes: Number of classes, at least 2; or 1, for a single logit.
        include_top: Whether to classify; otherwise the model returns features.
        pooling: `"avg"` or `"max"` for one feature per channel; None for the whole map.
        block_sizes: Number of layers of each block.
        growth_rate: Number of channels that a layer adds, at least 1.
        bottleneck: Whether layers have a 1x1 convolution before the 3x3 (B).
        compression: Fraction of the channels kept between blocks, in (0, 1] (C).
        width: Channels of the first convolution, at least 1.
        small: Whether the first convolution is 3x3, instead of 7x7 with a stride of 2
            followed by pooling.
        momentum: Momentum of batch normalization; use 0.9 for runs of a few hundred
            steps.

    Raises:
        ValueError: If images are smaller than 32 pixels (8 with `small`) or too small
            for the poolings between the blocks, or an option is out of range.

    Example:
        >>> import jax
        >>> model = DenseNet(num_classes=10, block_sizes=(2, 2, 2, 2))
        >>> images = jax.numpy.ones((2, 32, 32, 3))
        >>> start = functools.partial(model.init_with_output, jax.random.key(0))
        >>> logits, variables = jax.eval_shape(start, images)
        >>> logits.shape
        (2, 10)
    """

    block_sizes: tuple[int, ...] = (6, 12, 24, 16)
    growth_rate: int = 32
    bottleneck: bool = True
    compression: float = 0.5
    width: int = 64
    small: bool = False
    momentum: float = 0.99

    preprocessing = "torch"

    @property
    def sizes(self) -> Sizes:
        """Image sizes large enough for all poolings."""
        halvings = len(self.block_sizes) - 1 + (0 if self.small else 2)
        return Sizes(max(8 if self.small else 32, 1 << halvings))

    def setup(self) -> None:
        """Check the options."""
        counts: Any = dict(growth_rate=self.growth_rate, width=self.width)
        require_whole("[1, inf)", block_sizes=self.block_sizes, **counts)
        if not self.block_sizes:
            raise ValueError("block_sizes=() must have at least one block.")
        require_number("(0, 1]", compression=self.compression)
        super().setup()

    @linen.compact
    def stages(self, image: Array, *, train: bool) -> Stages:
        """Compute the feature maps: the blocks' outputs, the last with ReLU."""
        stages: Stages = {}
        if self.small:
            x, stride = conv2d(image, self.width, 3, 1, False, name="conv1_conv"), 1
        else:
            x, stride = conv2d(image, self.width, 7, 2, False, name="conv1_conv"), 4
            x = nn.relu(normalized(self, x, train, name="conv1_bn"))
            stages[2] = x
            x = nn.max_pool(nn.zero_pad(x), (3, 3), strides=(2, 2))
        for block, size in enumerate(self.block_sizes, 2):
            if block > 2:
                name, channels = f"pool{block - 1}", x.shape[-1]
                x = nn.relu(normalized(self, x, train, name=f"{name}_bn"))
                kept = max(1, int(channels * self.compression))
                x = conv2d(x, kept, 1, 1, False, name=f"{name}_conv")
                x, stride = nn.avg_pool(x, (2, 2)), 2 * stride
            for layer in range(1, size + 1):
                x = DenseLayer(
                    self.growth_rate,
                    self.bottleneck,
                    self.momentum,
                    name=f"conv{block}_block{layer}",
                )(x, train=train)
            stages[stride] = x
        stages[stride] = nn.relu(normalized(self, x, train, name="bn"))
        return stages


DenseNet121 = functools.partial(DenseNet, block_sizes=(6, 12, 24, 16))
DenseNet169 = functools.partial(DenseNet, block_sizes=(6, 12, 32, 32))
DenseNet201 = functools.partial(DenseNet, block_sizes=(6, 12, 48, 32))


def CIFARDenseNet(
    num_classes: int,
    depth: int = 22,
    growth_rate: int = 12,
    *,
    bc: bool = True,
    **options: Any,
) -> DenseNet:
    """Return a densely connected network of three blocks for small images.

    Args:
        num_classes: Number of classes, at least 2; or 1, for a single logit.
        depth: Number of layers: 6n + 4 for n layers per block, of two convolutions
            each; 3n + 4 without `bc`.
        growth_rate: Number of channels that a layer adds.
        bc: Whether to use bottlenecks and compression.
        **options: Other attributes of `DenseNet`, such as `momentum`.

    Raises:
        ValueError: If no network has this depth.

    Example:
        >>> CIFARDenseNet(10, depth=40, bc=False).block_sizes
        (12, 12, 12)
        >>> CIFARDenseNet(10, depth=20)
        Traceback (most recent call last):
        ValueError: depth=20 must be 6n + 4 for n layers a block: 16 or 22.
    """
    each = 6 if bc else 3
    require_whole(f"[{each + 4}, inf)", depth=depth)
    size, rest = divmod(depth - 4, each)
    if rest:
        raise ValueError(
            f"depth={depth} must be {each}n + 4 for n layers a block: {depth - rest} "
            f"or {depth - rest + each}."
        )
    return DenseNet(
        num_classes,
        block_sizes=(size,) * 3,
        growth_rate=growth_rate,
        bottleneck=bc,
        compression=0.5 if bc else 1.0,
        width=2 * growth_rate if bc else 16,
        small=True,
        **options,
    )

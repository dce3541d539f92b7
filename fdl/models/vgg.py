"""VGG (Simonyan & Zisserman, 2015).

Parameters for 1000 classes, on 224x224x3, with and without the three dense layers:

- `VGG11`: 132,863,336 and 9,220,480
- `VGG13`: 133,047,848 and 9,404,992
- `VGG16`: 138,357,544 and 14,714,688
- `VGG19`: 143,667,240 and 20,024,384

Differences from the paper:

- There is no dropout by default, as in Keras; the paper's rate is 0.5.
- Weights are drawn from Keras' initial distributions.
- Batch normalization is available, with `batch_norm=True`: it makes training from
  scratch possible beyond VGG-13.
"""

import functools
from typing import Any

import flax.linen as linen

from fdl import nn
from fdl.arrays import Array, Number
from fdl.models.backbone import Backbone, Stages
from fdl.models.sizes import Sizes
from fdl.ranges import require_number, require_whole


class VGG(Backbone):
    """Blocks of 3x3 convolutions (Simonyan & Zisserman, 2015, arXiv:1409.1556).

    Each block ends with 2x2 max pooling; dense layers follow. ReLU follows each layer
    except the last. `VGG16` and the others are partial applications of it.

    Attributes:
        num_classes: Number of classes, at least 2; or 1, for a single logit.
        include_top: Whether to classify; otherwise the model returns features.
        pooling: `"avg"` or `"max"` for one feature per channel; None for the whole map.
        block_sizes: Number of convolutions of each block.
        widths: Number of channels of each block.
        hidden_sizes: Widths of the dense layers before the last.
        batch_norm: Whether batch normalization follows each convolution.
        dropout_rate: Fraction dropped in training before each dense layer except the
            first, in [0, 1); 0.5 in the paper. Needs the random key `dropout` if above
            0.
        momentum: Momentum of batch normalization; use 0.9 for runs of a few hundred
            steps.

    Raises:
        ValueError: If images are too small for the poolings (below 32 pixels for five),
            or an option is out of range.

    Example:
        >>> import jax
        >>> model = VGG16(num_classes=10)
        >>> images = jax.numpy.ones((2, 32, 32, 3))
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), images)
        >>> jax.eval_shape(model.apply, variables, images).shape
        (2, 10)
    """

    block_sizes: tuple[int, ...] = (2, 2, 3, 3, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    hidden_sizes: tuple[int, ...] = (4096, 4096)
    batch_norm: bool = False
    dropout_rate: Number = 0.0
    momentum: float = 0.99

    preprocessing = "caffe"

    @property
    def sizes(self) -> Sizes:
        """Image sizes large enough for all poolings."""
        return Sizes(2 ** len(self.block_sizes))

    def setup(self) -> None:
        """Check the options, and define the dense layers."""
        require_whole("[1, inf)", block_sizes=self.block_sizes, widths=self.widths)
        require_number("[0, 1)", dropout_rate=self.dropout_rate)
        if len(self.block_sizes) != len(self.widths):
            raise ValueError(
                f"widths={self.widths} must have one number for each block of "
                f"block_sizes={self.block_sizes}."
            )
        super().setup()
        self.fc: Any = [
            nn.Dense(size, name=f"fc{layer}")
            for layer, size in enumerate(self.hidden_sizes, 1)
        ]
        self.dropout = nn.Dropout(self.dropout_rate)

    @linen.compact
    def stages(self, image: Array, *, train: bool) -> Stages:
        """Compute the feature maps: of each block before its pooling, and the last."""
        x, stages = image, {}
        shapes = zip(self.block_sizes, self.widths, strict=True)
        for block, (size, width) in enumerate(shapes, 1):
            for layer in range(1, size + 1):
                name = f"block{block}_conv{layer}"
                x = nn.Conv2D(width, (3, 3), padding="same", name=name)(x)
                if self.batch_norm:
                    norm = nn.BatchNormalization(
                        momentum=self.momentum, name=f"block{block}_bn{layer}"
                    )
                    x = norm(x, train=train)
                x = nn.relu(x)
            stages[1 << block - 1] = x
            x = nn.max_pool(x, (2, 2))
        return {**stages, 1 << len(self.block_sizes): x}

    def head(self, x: Array, *, train: bool) -> Array:
        """Return the logits of the last feature map, row by row."""
        x = x.reshape(*x.shape[:-3], -1)
        for dense in self.fc:
            x = self.dropout(nn.relu(dense(x)), train=train)
        return self.predictions(x)


VGG11 = functools.partial(VGG, block_sizes=(1, 1, 2, 2, 2))
VGG13 = functools.partial(VGG, block_sizes=(2, 2, 2, 2, 2))
VGG16 = functools.partial(VGG, block_sizes=(2, 2, 3, 3, 3))
VGG19 = functools.partial(VGG, block_sizes=(2, 2, 4, 4, 4))

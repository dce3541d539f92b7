"""AlexNet (Krizhevsky et al., 2012).

Parameters for 1000 classes:

- `AlexNet` on 227x227x3: 60,965,224
- `AlexNetOneColumn` on 224x224x3: 61,100,840

`AlexNet` is the paper's network. Its convolutions have two groups because the authors
split it across two GPUs.

`AlexNetOneColumn` is the single column of Krizhevsky (2014, arXiv:1404.5997) as in
PyTorch: other widths, no groups, no normalization, and a border of 2 pixels. Unlike
PyTorch's, it applies dropout after the dense layers instead of before them, and does
not average the last maps to 6x6 at sizes other than 224.

Differences from the paper:

- Images have 227 pixels a side, the size that gives the paper's 55x55 maps.
- The mean image is not subtracted from the pixels.
- Weights are drawn from Glorot's distribution: the paper's N(0, 0.01), with biases of 1
  in half of the layers, learns slowly on small data sets.
"""

import functools
from typing import Any

import flax.linen as linen

from fdl import nn
from fdl.arrays import Array, Number
from fdl.models.backbone import Backbone, Stages
from fdl.models.sizes import Sizes
from fdl.ranges import require_length, require_number, require_whole


class AlexNet(Backbone):
    """Five convolutions and three dense layers (Krizhevsky et al., 2012, NeurIPS 25).

    ReLU after each layer but the last, local response normalization after the first
    two, overlapping 3x3 max pooling after the first, second and fifth, and dropout in
    the dense layers.

    For images of 32 pixels, use `window=5`, `stride=1` and `border=2`, which keep the
    first feature map as large as the image.

    Attributes:
        num_classes: Number of classes, at least 2; or 1, for a single logit.
        include_top: Whether to classify; otherwise the model returns features.
        pooling: `"avg"` or `"max"` for one feature per channel; None for the whole map.
        widths: Number of kernels of each convolution, multiples of `groups`.
        hidden_size: Width of the two dense layers before the last.
        groups: Number of groups in the second, fourth and fifth convolution.
        window: Height and width of the first kernels.
        stride: Stride of the first convolution.
        border: Pixels of zeros around the image.
        response_norm: Whether to apply local response normalization.
        dropout_rate: Fraction of the two dense layers dropped in training, in [0, 1);
            needs the random key `dropout` if above 0.

    Raises:
        ValueError: If images are too small for three poolings (below 67 pixels for the
            paper's network), or an option is out of range.

    Example:
        >>> import jax
        >>> small = {"window": 5, "stride": 1, "border": 2, "hidden_size": 32}
        >>> model = AlexNet(10, widths=(8, 16, 24, 24, 16), **small)
        >>> images = jax.numpy.ones((2, 28, 28, 1))
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), images)
        >>> jax.eval_shape(model.apply, variables, images).shape
        (2, 10)
        >>> apply = functools.partial(model.apply, method="features")
        >>> stages = jax.eval_shape(apply, variables, images)
        >>> {stride: x.shape for stride, x in stages.items()}
        {1: (2, 28, 28, 8), 2: (2, 13, 13, 16), 4: (2, 6, 6, 16), 8: (2, 2, 2, 16)}
    """

    widths: tuple[int, int, int, int, int] = (96, 256, 384, 384, 256)
    hidden_size: int = 4096
    groups: int = 2
    window: int = 11
    stride: int = 4
    border: int = 0
    response_norm: bool = True
    dropout_rate: Number = 0.5

    @property
    def sizes(self) -> Sizes:
        """Image sizes large enough for all poolings."""
        return Sizes(max(1, self.window + 14 * self.stride - 2 * self.border))

    def setup(self) -> None:
        """Check the options, and define the dense layers."""
        require_whole("[1, inf)", widths=self.widths, hidden_size=self.hidden_size)
        require_length(5, widths=self.widths)
        require_whole("[1, inf)", window=self.window, stride=self.stride)
        require_whole("[0, inf)", border=self.border)
        require_whole("[1, inf)", groups=self.groups)
        if any(width % self.groups for width in self.widths):
            raise ValueError(
                f"widths={self.widths} must be multiples of groups={self.groups}."
            )
        require_number("[0, 1)", dropout_rate=self.dropout_rate)
        super().setup()
        self.fc6 = nn.Dense(self.hidden_size)
        self.fc7 = nn.Dense(self.hidden_size)
        self.dropout = nn.Dropout(self.dropout_rate)

    @linen.compact
    def stages(self, image: Array, *, train: bool) -> Stages:
        """Compute the feature maps."""
        first, second, third, fourth, fifth = self.widths
        same = {"padding": "same"}
        grouped = {"padding": "same", "groups": self.groups}

        def conv(features: int, size: int, name: str, x: Array, **how: Any) -> Array:
            return nn.relu(nn.Conv2D(features, (size, size), **how, name=name)(x))

        def pooled(x: Array) -> Array:
            return nn.max_pool(x, (3, 3), strides=(2, 2))

        def normed(x: Array) -> Array:
            return nn.local_response_norm(x) if self.response_norm else x

        x, step = nn.zero_pad(image, self.border), (self.stride, self.stride)
        conv1 = conv(first, self.window, "conv1", x, strides=step)
        conv2 = conv(second, 5, "conv2", pooled(normed(conv1)), **grouped)
        x = conv(third, 3, "conv3", pooled(normed(conv2)), **same)
        x = conv(fourth, 3, "conv4", x, **grouped)
        conv5 = conv(fifth, 3, "conv5", x, **grouped)
        maps = (conv1, conv2, conv5, pooled(conv5))
        return {self.stride << halvings: x for halvings, x in enumerate(maps)}

    def head(self, x: Array, *, train: bool) -> Array:
        """Return the logits of the last feature map, row by row."""
        x = x.reshape(*x.shape[:-3], -1)
        for dense in (self.fc6, self.fc7):
            x = self.dropout(nn.relu(dense(x)), train=train)
        return self.predictions(x)


AlexNetOneColumn = functools.partial(
    AlexNet,
    widths=(64, 192, 384, 256, 256),
    groups=1,
    border=2,
    response_norm=False,
)

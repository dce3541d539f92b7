"""Inception v3 (Szegedy et al., 2016).

Parameters on 3 channels:

- `InceptionV3(1000)`: 23,817,352
- `InceptionV3(1000, include_top=False)`: 21,768,352

The network is Keras': batch normalization has no scale, and average pooling leaves
padding out of the mean.

Differences from the paper:

- There is no dropout and no auxiliary head, as in Keras.
"""

import itertools
from collections.abc import Callable
from typing import ClassVar

import flax.linen as linen
import jax.numpy as jnp

from fdl import nn
from fdl.arrays import Array
from fdl.models.backbone import Backbone, Stages
from fdl.models.sizes import Sizes
from fdl.ranges import require_number


class InceptionV3(Backbone):
    """Inception v3 (Szegedy et al., 2016, arXiv:1512.00567), as in Keras.

    Eleven modules, whose branches see windows of different sizes; large windows are
    split into a row and a column. Layers are numbered as in Keras.

    Attributes:
        num_classes: Number of classes, at least 2; or 1, for a single logit.
        include_top: Whether to classify; otherwise the model returns features.
        pooling: `"avg"` or `"max"` for one feature per channel; None for the whole map.
        width: Multiplier of all numbers of channels, above 0.
        momentum: Momentum of batch normalization; use 0.9 for runs of a few hundred
            steps.

    Raises:
        ValueError: If images are smaller than 75 pixels, or `width` is not above 0.

    Example:
        >>> import functools, jax
        >>> model = InceptionV3(num_classes=10)
        >>> images = jax.numpy.ones((2, 75, 75, 3))
        >>> start = functools.partial(model.init_with_output, jax.random.key(0))
        >>> logits, variables = jax.eval_shape(start, images)
        >>> logits.shape
        (2, 10)
    """

    width: float = 1.0
    momentum: float = 0.99

    sizes: ClassVar = Sizes(75)
    preprocessing = "tf"

    def setup(self) -> None:
        """Check the width."""
        require_number("(0, inf)", width=self.width)
        super().setup()

    @linen.compact
    def stages(self, image: Array, *, train: bool) -> Stages:
        """Compute the feature maps."""
        numbers = itertools.count()

        def conv(
            x: Array, features: int, rows: int, columns: int, stride: int | None = None
        ) -> Array:
            """Convolve, padded unless a stride is given; normalize; apply ReLU."""
            number = next(numbers)
            place = f"_{number}" if number else ""  # numbered as in Keras
            x = nn.Conv2D(
                max(1, int(features * self.width)),
                (rows, columns),
                (stride or 1, stride or 1),
                "valid" if stride else "same",
                use_bias=False,
                name=f"conv2d{place}",
            )(x)
            norm = nn.BatchNormalization(
                momentum=self.momentum,
                use_scale=False,
                name=f"batch_normalization{place}",
            )
            return nn.relu(norm(x, train=train))

        x = conv(image, 32, 3, 3, stride=2)
        x = conv(x, 32, 3, 3, stride=1)
        x = conv(x, 64, 3, 3)
        stages: Stages = {2: x}
        x = nn.max_pool(x, (3, 3), strides=(2, 2))
        x = conv(x, 80, 1, 1, stride=1)
        x = conv(x, 192, 3, 3, stride=1)
        stages[4] = x
        x = nn.max_pool(x, (3, 3), strides=(2, 2))
        for pool in (32, 64, 64):
            x = _fives(conv, x, pool)
        stages[8] = x
        x = _threes_halved(conv, x)
        for inner in (128, 160, 160, 192):
            x = _sevens(conv, x, inner)
        stages[16] = x
        x = _sevens_halved(conv, x)
        for _ in range(2):
            x = _forks(conv, x)
        stages[32] = x
        return stages


# The modules of figures 5 to 7, and between them those that halve the map. The order of
# the layers is Keras', since their names are numbers.

Conv = Callable[..., Array]


def _fives(conv: Conv, x: Array, pool: int) -> Array:
    one = conv(x, 64, 1, 1)
    five = conv(x, 48, 1, 1)
    five = conv(five, 64, 5, 5)
    double = conv(x, 64, 1, 1)
    double = conv(double, 96, 3, 3)
    double = conv(double, 96, 3, 3)
    return _joined(one, five, double, conv(_mean(x), pool, 1, 1))


def _threes_halved(conv: Conv, x: Array) -> Array:
    three = conv(x, 384, 3, 3, stride=2)
    double = conv(x, 64, 1, 1)
    double = conv(double, 96, 3, 3)
    double = conv(double, 96, 3, 3, stride=2)
    return _joined(three, double, nn.max_pool(x, (3, 3), strides=(2, 2)))


def _sevens(conv: Conv, x: Array, inner: int) -> Array:
    one = conv(x, 192, 1, 1)
    seven = conv(x, inner, 1, 1)
    seven = conv(seven, inner, 1, 7)
    seven = conv(seven, 192, 7, 1)
    double = conv(x, inner, 1, 1)
    double = conv(double, inner, 7, 1)
    double = conv(double, inner, 1, 7)
    double = conv(double, inner, 7, 1)
    double = conv(double, 192, 1, 7)
    return _joined(one, seven, double, conv(_mean(x), 192, 1, 1))


def _sevens_halved(conv: Conv, x: Array) -> Array:
    three = conv(x, 192, 1, 1)
    three = conv(three, 320, 3, 3, stride=2)
    seven = conv(x, 192, 1, 1)
    seven = conv(seven, 192, 1, 7)
    seven = conv(seven, 192, 7, 1)
    seven = conv(seven, 192, 3, 3, stride=2)
    return _joined(three, seven, nn.max_pool(x, (3, 3), strides=(2, 2)))


def _forks(conv: Conv, x: Array) -> Array:
    one = conv(x, 320, 1, 1)
    three = conv(x, 384, 1, 1)
    row = conv(three, 384, 1, 3)
    column = conv(three, 384, 3, 1)
    double = conv(x, 448, 1, 1)
    double = conv(double, 384, 3, 3)
    rows = conv(double, 384, 1, 3)
    columns = conv(double, 384, 3, 1)
    pool = conv(_mean(x), 192, 1, 1)
    return _joined(one, row, column, rows, columns, pool)


def _mean(x: Array) -> Array:
    return nn.avg_pool(x, (3, 3), strides=(1, 1), padding="same")


def _joined(*branches: Array) -> Array:
    return jnp.concatenate(branches, axis=-1)

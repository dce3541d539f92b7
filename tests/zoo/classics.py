"""Famous image classifiers: LeNet-5, AlexNet and GoogLeNet."""

from typing import Any

import flax.linen as linen
import numpy as np

from fdl import models
from fdl.models.googlenet import Widths
from fdl.models.lenet import CONNECTIONS
from zoo.case import Case, Epoch, Input
from zoo.epochs import digits


def _keras_lenet5() -> Any:
    import keras

    layers = keras.layers
    tanh: Any = keras.ops.tanh
    squash = lambda x: 1.7159 * tanh(2 / 3 * x)

    class TableConv2D(layers.Conv2D):
        def convolution_op(self, inputs: Any, kernel: Any) -> Any:
            table = keras.ops.cast(CONNECTIONS, kernel.dtype)
            return super().convolution_op(inputs, kernel * table)

    def subsampling(name: str) -> list[Any]:
        scaled = layers.DepthwiseConv2D(
            1, depthwise_initializer="ones", activation=squash, name=name
        )
        return [layers.AveragePooling2D(2), scaled]

    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.ZeroPadding2D(2),
            # Not `Rescaling`, which rounds its numbers to float32.
            layers.Lambda(lambda x: 1.275 * x - 0.1),
            layers.Conv2D(6, 5, activation=squash, name="c1"),
            *subsampling("s2"),
            TableConv2D(16, 5, activation=squash, name="c3"),
            *subsampling("s4"),
            layers.Conv2D(120, 5, activation=squash, name="c5"),
            layers.Flatten(),
            layers.Dense(84, activation=squash, name="f6"),
            layers.Dense(10, name="predictions"),
        ]
    )


def _keras_modern_lenet5() -> Any:
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.ZeroPadding2D(2),
            layers.Conv2D(6, 5, activation="relu", name="c1"),
            layers.AveragePooling2D(2),
            layers.Conv2D(16, 5, activation="relu", name="c3"),
            layers.AveragePooling2D(2),
            layers.Conv2D(120, 5, activation="relu", name="c5"),
            layers.Flatten(),
            layers.Dense(84, activation="relu", name="f6"),
            layers.Dense(10, name="predictions"),
        ]
    )


def _response_norm(x: Any) -> Any:
    import keras

    channels, pad = x.shape[-1], ((0, 0), (0, 0), (0, 0), (2, 2))
    squares: Any = keras.ops.pad(x * x, pad)
    total = sum(squares[..., i : i + channels] for i in range(5))
    return x / (2 + 1e-4 * total) ** 0.75


def _keras_alexnet() -> Any:
    import keras

    layers = keras.layers

    def conv(features: int, size: int, name: str, groups: int = 1) -> Any:
        return layers.Conv2D(
            *(features, size),
            padding="same",
            groups=groups,
            activation="relu",
            name=name,
        )

    image = layers.Input((28, 28, 1))
    x = _response_norm(conv(8, 5, "conv1")(image))
    x = conv(16, 5, "conv2", groups=2)(layers.MaxPooling2D(3, 2)(x))
    x = conv(24, 3, "conv3")(layers.MaxPooling2D(3, 2)(_response_norm(x)))
    x = conv(24, 3, "conv4", groups=2)(x)
    x = layers.MaxPooling2D(3, 2)(conv(16, 3, "conv5", groups=2)(x))
    x = layers.Dense(32, activation="relu", name="fc6")(layers.Flatten()(x))
    x = layers.Dense(32, activation="relu", name="fc7")(x)
    return keras.Model(image, layers.Dense(10, name="predictions")(x))


_MODULES = (
    Widths("3a", 4, 3, 6, 2, 4, 3),
    Widths("3b", 5, 4, 7, 3, 5, 4),
    Widths("4a", 6, 5, 8, 3, 6, 5),
)


class WithAllHeads(linen.Module):
    """A small GoogLeNet that returns the outputs of training mode."""

    @linen.compact
    def __call__(self, image: Any) -> Any:
        model = models.GoogLeNet(
            num_classes=10,
            modules=_MODULES,
            auxiliary=("3a", "3b"),
            stem=(4, 5, 6),
            stem_stride=1,
            auxiliary_size=(8, 12),
            dropout_rate=0.0,
            auxiliary_dropout_rate=0.0,
        )
        linen.share_scope(self, model)
        return model(image, train=True)


def _keras_googlenet() -> Any:
    import keras

    layers = keras.layers

    def conv(features: int, size: int, name: str) -> Any:
        return layers.Conv2D(
            features, size, padding="same", activation="relu", name=name
        )

    def halved(x: Any) -> Any:
        return layers.MaxPooling2D(3, 2, "same")(x)

    def inception(x: Any, widths: Widths) -> Any:
        w, name = widths, f"inception{widths.name}"
        three = conv(w.reduce3, 1, f"{name}_3x3_reduce")(x)
        five = conv(w.reduce5, 1, f"{name}_5x5_reduce")(x)
        around = layers.MaxPooling2D(3, 1, "same")(x)
        branches = [
            conv(w.one, 1, f"{name}_1x1")(x),
            conv(w.three, 3, f"{name}_3x3")(three),
            conv(w.five, 5, f"{name}_5x5")(five),
            conv(w.projection, 1, f"{name}_projection")(around),
        ]
        return layers.Concatenate()(branches)

    def auxiliary(x: Any, name: str) -> Any:
        x = conv(8, 1, f"{name}_conv")(layers.AveragePooling2D(5, 3)(x))
        dense = layers.Dense(12, activation="relu", name=f"{name}_dense")
        x = dense(layers.Flatten()(x))
        return layers.Dense(10, name=f"{name}_predictions")(x)

    image = layers.Input((28, 28, 1))
    x = _response_norm(halved(conv(4, 7, "conv1")(image)))
    x = conv(6, 3, "conv2")(conv(5, 1, "conv2_reduce")(x))
    first = inception(halved(_response_norm(x)), _MODULES[0])
    second = inception(first, _MODULES[1])
    x = inception(halved(second), _MODULES[2])
    x = layers.Dense(10, name="predictions")(layers.GlobalAveragePooling2D()(x))
    heads = [auxiliary(first, "auxiliary1"), auxiliary(second, "auxiliary2")]
    return keras.Model(image, [x, *heads])


def _digits_for_three_heads() -> Epoch:
    for inputs, label in digits((28, 28, 1), 10):
        yield inputs, [np.eye(10, dtype=np.float32)[label]] * 3


_IMAGE = (Input((28, 28, 1)),)

CASES = [
    Case(
        "lenet5",
        lambda: models.LeNet5(10, border=2),
        _keras_lenet5,
        _IMAGE,
        60_850 + 900,  # 900 are masked
        classes=10,
    ),
    Case(
        "lenet5-modern",
        lambda: models.LeNet5(10, modern=True, border=2),
        _keras_modern_lenet5,
        _IMAGE,
        61_706,
        classes=10,
    ),
    Case(
        "alexnet",
        lambda: models.AlexNet(
            10,
            widths=(8, 16, 24, 24, 16),
            hidden_size=32,
            window=5,
            stride=1,
            border=2,
            dropout_rate=0.0,
        ),
        _keras_alexnet,
        _IMAGE,
        13_130,
        classes=10,
    ),
    Case(
        "googlenet",
        WithAllHeads,
        _keras_googlenet,
        _IMAGE,
        4_182,
        epoch=_digits_for_three_heads,
    ),
]

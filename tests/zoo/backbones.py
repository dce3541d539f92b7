"""VGG and densely connected networks, small but with every kind of layer."""

from typing import Any

from fdl import models
from zoo.case import Case, Input

_EPSILON = 1.001e-5


def _keras_vgg() -> Any:
    import keras

    layers = keras.layers
    x = image = layers.Input((16, 16, 1))
    for block, (size, width) in enumerate(((1, 3), (2, 4)), 1):
        for layer in range(1, size + 1):
            name = f"block{block}_conv{layer}"
            x = layers.Conv2D(width, 3, padding="same", name=name)(x)
            x = layers.BatchNormalization(name=f"block{block}_bn{layer}")(x)
            x = layers.ReLU()(x)
        x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = layers.Dense(12, activation="relu", name="fc1")(x)
    x = layers.Dense(9, activation="relu", name="fc2")(x)
    return keras.Model(image, layers.Dense(10, name="predictions")(x))


def _norm(x: Any, name: str) -> Any:
    import keras

    x = keras.layers.BatchNormalization(epsilon=_EPSILON, name=name)(x)
    return keras.layers.ReLU()(x)


def _conv(x: Any, features: int, size: int, name: str) -> Any:
    import keras

    conv = keras.layers.Conv2D(
        features, size, padding="same", use_bias=False, name=name
    )
    return conv(x)


def _dense_head(x: Any, image: Any) -> Any:
    import keras

    x = keras.layers.GlobalAveragePooling2D()(_norm(x, "bn"))
    return keras.Model(image, keras.layers.Dense(10, name="predictions")(x))


def _keras_densenet() -> Any:
    """The variant for photographs, with two blocks."""
    import keras

    layers = keras.layers
    image = layers.Input((32, 32, 3))
    x = layers.Conv2D(4, 7, 2, use_bias=False, name="conv1_conv")(
        layers.ZeroPadding2D(3)(image)
    )
    x = layers.ZeroPadding2D(1)(_norm(x, "conv1_bn"))
    x = layers.MaxPooling2D(3, 2)(x)
    for block, size in ((2, 1), (3, 2)):
        if block == 3:
            x = _conv(_norm(x, "pool2_bn"), x.shape[-1] // 2, 1, "pool2_conv")
            x = layers.AveragePooling2D(2)(x)
        for layer in range(1, size + 1):
            name = f"conv{block}_block{layer}"
            new = _conv(_norm(x, f"{name}_0_bn"), 12, 1, f"{name}_1_conv")
            new = _conv(_norm(new, f"{name}_1_bn"), 3, 3, f"{name}_2_conv")
            x = layers.Concatenate()([x, new])
    return _dense_head(x, image)


def _keras_small_densenet() -> Any:
    """The variant for small images, without bottlenecks and compression."""
    import keras

    layers = keras.layers
    image = layers.Input((8, 8, 1))
    x = _conv(image, 16, 3, "conv1_conv")
    for block in (2, 3, 4):
        if block > 2:
            name = f"pool{block - 1}"
            x = _conv(_norm(x, f"{name}_bn"), x.shape[-1], 1, f"{name}_conv")
            x = layers.AveragePooling2D(2)(x)
        name = f"conv{block}_block1"
        new = _conv(_norm(x, f"{name}_0_bn"), 3, 3, f"{name}_1_conv")
        x = layers.Concatenate()([x, new])
    return _dense_head(x, image)


CASES = [
    Case(
        "vgg",
        lambda: models.VGG(
            10,
            block_sizes=(1, 2),
            widths=(3, 4),
            hidden_sizes=(12, 9),
            batch_norm=True,
        ),
        _keras_vgg,
        (Input((16, 16, 1)),),
        1_309,
        classes=10,
        single=2,
    ),
    Case(
        "densenet",
        lambda: models.DenseNet121(10, block_sizes=(1, 2), growth_rate=3, width=4),
        _keras_densenet,
        (Input((32, 32, 3)),),
        1_975,
        classes=10,
        single=2,
    ),
    Case(
        "densenet-small",
        lambda: models.CIFARDenseNet(10, depth=7, growth_rate=3, bc=False),
        _keras_small_densenet,
        (Input((8, 8, 1)),),
        3_034,
        classes=10,
        single=2,
    ),
]

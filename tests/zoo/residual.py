"""Residual networks, small but with every kind of block."""

from typing import Any

from fdl import models
from zoo.case import Case, Input

_EPSILON = 1.001e-5


def _conv(x: Any, features: int, size: int, stride: int, name: str, bias: bool) -> Any:
    import keras

    layers = keras.layers
    if size > 1 and stride > 1:
        x = layers.ZeroPadding2D(size // 2)(x)
    padding = "same" if stride == 1 else "valid"
    return layers.Conv2D(features, size, stride, padding, use_bias=bias, name=name)(x)


def _norm(x: Any, name: str) -> Any:
    import keras

    return keras.layers.BatchNormalization(epsilon=_EPSILON, name=name)(x)


def _relu(x: Any) -> Any:
    import keras

    return keras.layers.ReLU()(x)


def _gate(x: Any, ratio: int, name: str) -> Any:
    import keras

    layers, channels = keras.layers, x.shape[-1]
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    hidden = layers.Dense(channels // ratio, "relu", name=f"{name}_se_reduce")
    gate = layers.Dense(channels, "sigmoid", name=f"{name}_se_expand")(hidden(gate))
    return layers.Multiply()([x, gate])


def _head(image: Any, x: Any) -> Any:
    import keras

    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, keras.layers.Dense(10, name="predictions")(x))


def _stem(x: Any, width: int, bias: bool, *, norm: bool = True) -> Any:
    import keras

    x = _conv(x, width, 7, 2, "conv1_conv", bias)
    x = _relu(_norm(x, "conv1_bn")) if norm else x
    return keras.layers.MaxPooling2D(3, 2)(keras.layers.ZeroPadding2D(1)(x))


def _bottlenecks(
    bias: bool = True, late: bool = False, ratio: int | None = None
) -> Any:
    """Two stages of one block; if `late`, the stride is in the 3x3 convolution."""
    import keras

    image = keras.Input((32, 32, 3))
    x = _stem(image, 4, bias)
    for name, features, stride in (("conv2_block1", 4, 1), ("conv3_block1", 8, 2)):
        shortcut = _conv(x, 4 * features, 1, stride, f"{name}_0_conv", bias)
        shortcut = _norm(shortcut, f"{name}_0_bn")
        steps = (1, stride, 1) if late else (stride, 1, 1)
        for layer, step in enumerate(steps, 1):
            out, size = ((features, 1), (features, 3), (4 * features, 1))[layer - 1]
            x = _conv(x, out, size, step, f"{name}_{layer}_conv", bias)
            x = _norm(x, f"{name}_{layer}_bn")
            x = _relu(x) if layer < 3 else x
        x = _gate(x, ratio, name) if ratio else x
        x = _relu(shortcut + x)
    return _head(image, x)


def _keras_basic() -> Any:
    import keras

    image = keras.Input((32, 32, 3))
    x = _stem(image, 4, True)
    for name, features, stride in (("conv2_block1", 4, 1), ("conv3_block1", 8, 2)):
        shortcut = x
        if stride > 1:
            shortcut = _conv(x, features, 1, stride, f"{name}_0_conv", True)
            shortcut = _norm(shortcut, f"{name}_0_bn")
        x = _conv(x, features, 3, stride, f"{name}_1_conv", True)
        x = _relu(_norm(x, f"{name}_1_bn"))
        x = _conv(x, features, 3, 1, f"{name}_2_conv", True)
        x = _relu(shortcut + _norm(x, f"{name}_2_bn"))
    return _head(image, x)


def _keras_v2() -> Any:
    import keras

    image = keras.Input((32, 32, 3))
    x = _stem(image, 4, True, norm=False)
    for stage, features in enumerate((4, 8)):
        for block in range(2):
            name = f"conv{stage + 2}_block{block + 1}"
            stride = 2 if (stage, block) == (0, 1) else 1
            active = _relu(_norm(x, f"{name}_preact_bn"))
            if block == 0:
                shortcut = _conv(active, 4 * features, 1, 1, f"{name}_0_conv", True)
            else:
                shortcut = x[:, ::stride, ::stride]
            x = _conv(active, features, 1, 1, f"{name}_1_conv", False)
            x = _relu(_norm(x, f"{name}_1_bn"))
            x = _conv(x, features, 3, stride, f"{name}_2_conv", False)
            x = _relu(_norm(x, f"{name}_2_bn"))
            x = shortcut + _conv(x, 4 * features, 1, 1, f"{name}_3_conv", True)
    return _head(image, _relu(_norm(x, "post_bn")))


def _keras_small() -> Any:
    import keras

    image = keras.Input((8, 8, 1))
    x = _relu(_norm(_conv(image, 4, 3, 1, "conv1_conv", False), "conv1_bn"))
    for stage, features in enumerate((4, 8, 16)):
        name, stride, shortcut = f"conv{stage + 2}_block1", 2 if stage else 1, x
        if stage:
            shortcut = _conv(x, features, 1, stride, f"{name}_0_conv", False)
            shortcut = _norm(shortcut, f"{name}_0_bn")
        x = _conv(x, features, 3, stride, f"{name}_1_conv", False)
        x = _relu(_norm(x, f"{name}_1_bn"))
        x = _conv(x, features, 3, 1, f"{name}_2_conv", False)
        x = _relu(shortcut + _norm(x, f"{name}_2_bn"))
    return _head(image, x)


def _keras_preactivation() -> Any:
    import keras

    image = keras.Input((8, 8, 3))
    x = _conv(image, 8, 3, 1, "conv1_conv", False)
    for stage, features in enumerate((8, 16, 32)):
        name, stride, shortcut = f"conv{stage + 2}_block1", 2 if stage else 1, x
        x = _relu(_norm(x, f"{name}_1_bn"))
        if stage:
            shortcut = x[:, ::2, ::2]
            zeros = keras.ops.zeros_like(shortcut)
            shortcut = keras.ops.concatenate([shortcut, zeros], axis=-1)
        x = _conv(x, features, 3, stride, f"{name}_1_conv", False)
        x = _relu(_norm(x, f"{name}_2_bn"))
        x = _conv(x, features, 3, 1, f"{name}_2_conv", False)
        x = shortcut + _gate(x, 2, name)
    return _head(image, _relu(_norm(x, "post_bn")))


_PHOTO = (Input((32, 32, 3)),)
CASES = [
    Case(
        "resnet",
        lambda: models.CIFARResNet(10, depth=8, width=4),
        _keras_small,
        (Input((8, 8, 1)),),
        5_142,
        classes=10,
        single=2,
    ),
    Case(
        "resnet-preactivation",
        lambda: models.CIFARResNet(
            10, depth=8, width=8, shortcut="A", preactivation=True, se_ratio=2
        ),
        _keras_preactivation,
        (Input((8, 8, 3)),),
        20_646,
        classes=10,
        single=2,
    ),
    Case(
        "resnet-basic",
        lambda: models.ResNet18(10, stage_sizes=(1, 1), width=4),
        _keras_basic,
        _PHOTO,
        1_970,
        classes=10,
        single=2,
    ),
    Case(
        "resnet-bottleneck",
        lambda: models.ResNet50(10, stage_sizes=(1, 1), width=4),
        _bottlenecks,
        _PHOTO,
        3_050,
        classes=10,
        single=2,
    ),
    Case(
        "se-resnet",
        lambda: models.SEResNet50(
            10, stage_sizes=(1, 1), width=4, stride_in="3x3", se_ratio=4
        ),
        lambda: _bottlenecks(bias=False, late=True, ratio=4),
        _PHOTO,
        3_626,
        classes=10,
        single=2,
    ),
    Case(
        "resnet-v2",
        lambda: models.ResNet50V2(10, stage_sizes=(2, 2), width=4),
        _keras_v2,
        _PHOTO,
        4_482,
        classes=10,
        single=2,
    ),
]

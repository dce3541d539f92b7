"""Networks of images in Linen, with the names that Keras gives their layers."""

import itertools
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from bench.speed.networks import (
    DENSENET_BLOCKS,
    INCEPTION_LAYERS,
    MOBILE_BLOCKS,
    RESNET_STAGES,
    SMALL_RESNET_STAGES,
    UNET_FEATURES,
)


class ResNet50(nn.Module):
    """ResNet-50 (He et al., 2015, arXiv:1512.03385)."""

    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        def normalized(x: Any, name: str) -> Any:
            norm = nn.BatchNorm(not train, epsilon=1.001e-5, name=f"{name}_bn")
            return norm(x)

        def conv(x: Any, features: int, size: int, stride: int, name: str) -> Any:
            layer = nn.Conv(features, (size, size), stride, name=f"{name}_conv")
            return normalized(layer(x), name)

        x = nn.Conv(64, (7, 7), 2, padding=3, name="conv1_conv")(x)
        x = nn.relu(normalized(x, "conv1"))
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        for stage, (features, blocks) in enumerate(RESNET_STAGES, start=2):
            for block in range(1, blocks + 1):
                name = f"conv{stage}_block{block}"
                stride = 2 if block == 1 and stage > 2 else 1
                short = x
                if block == 1:
                    short = conv(x, 4 * features, 1, stride, f"{name}_0")
                x = nn.relu(conv(x, features, 1, stride, f"{name}_1"))
                x = nn.relu(conv(x, features, 3, 1, f"{name}_2"))
                x = nn.relu(short + conv(x, 4 * features, 1, 1, f"{name}_3"))
        return nn.Dense(10, name="predictions")(x.mean(axis=(1, 2)))


class ResNet20(nn.Module):
    """ResNet-20 for small images (He et al., 2015, arXiv:1512.03385)."""

    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        def conv(x: Any, features: int, size: int, stride: int, name: str) -> Any:
            options = {"padding": size // 2, "use_bias": False}
            x = nn.Conv(features, (size, size), stride, name=f"{name}_conv", **options)(
                x
            )
            return nn.BatchNorm(not train, epsilon=1.001e-5, name=f"{name}_bn")(x)

        x = nn.relu(conv(x, 16, 3, 1, "conv1"))
        for stage, (features, blocks) in enumerate(SMALL_RESNET_STAGES, start=2):
            for block in range(1, blocks + 1):
                name = f"conv{stage}_block{block}"
                stride, short = 1, x
                if block == 1 and stage > 2:
                    stride, short = 2, conv(x, features, 1, 2, f"{name}_0")
                x = nn.relu(conv(x, features, 3, stride, f"{name}_1"))
                x = nn.relu(short + conv(x, features, 3, 1, f"{name}_2"))
        return nn.Dense(10, name="predictions")(x.mean(axis=(1, 2)))


class DenseNet121(nn.Module):
    """DenseNet-121 (Huang et al., 2017, arXiv:1608.06993)."""

    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        def conv(x: Any, features: int, size: int, name: str, **options: Any) -> Any:
            kernel = (size, size)
            options = {"use_bias": False, "name": f"{name}_conv", **options}
            return nn.Conv(features, kernel, **options)(x)

        def active(x: Any, name: str) -> Any:
            return nn.relu(nn.BatchNorm(not train, epsilon=1.001e-5, name=name)(x))

        x = active(conv(x, 64, 7, "conv1", strides=2, padding=3), "conv1_bn")
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        for block, size in enumerate(DENSENET_BLOCKS, start=2):
            if block > 2:
                name, channels = f"pool{block - 1}", x.shape[-1]
                x = conv(active(x, f"{name}_bn"), channels // 2, 1, name)
                x = nn.avg_pool(x, (2, 2), (2, 2))
            for layer in range(1, size + 1):
                name = f"conv{block}_block{layer}"
                new = conv(active(x, f"{name}_0_bn"), 128, 1, f"{name}_1")
                new = conv(active(new, f"{name}_1_bn"), 32, 3, f"{name}_2")
                x = jnp.concatenate([x, new], -1)
        x = active(x, "bn").mean(axis=(1, 2))
        return nn.Dense(10, name="predictions")(x)


class InceptionV3(nn.Module):
    """Inception v3 (Szegedy et al., 2016, arXiv:1512.00567)."""

    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        places = (f"_{number}" if number else "" for number in itertools.count())

        def conv(x: Any, features: int, rows: int, columns: int, stride: int) -> Any:
            place = next(places)
            options = {"use_bias": False, "name": f"conv2d{place}"}
            padding = "VALID" if stride else "SAME"
            x = nn.Conv(features, (rows, columns), stride or 1, padding, **options)(x)
            options = {"use_scale": False, "name": f"batch_normalization{place}"}
            return nn.relu(nn.BatchNorm(not train, epsilon=1e-3, **options)(x))

        def follow(x: Any, layers: Any) -> Any:
            for layer in layers:
                if layer == "max":
                    x = nn.max_pool(x, (3, 3), (2, 2))
                elif layer == "avg":
                    x = nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False)
                elif isinstance(layer[0], int):
                    x = conv(x, *layer)
                else:
                    branches = [follow(x, branch) for branch in layer]
                    x = jnp.concatenate(branches, -1)
            return x

        x = follow(x, INCEPTION_LAYERS).mean(axis=(1, 2))
        return nn.Dense(10, name="predictions")(x)


class MobileNetV2(nn.Module):
    """MobileNetV2 (Sandler et al., 2018, arXiv:1801.04381)."""

    @nn.compact
    def __call__(self, x: Any, train: bool = False) -> Any:
        def conv(x: Any, features: int, name: str, **options: Any) -> Any:
            options = {"kernel_size": (1, 1), "strides": 1, **options}
            return nn.Conv(features, use_bias=False, name=name, **options)(x)

        def norm(x: Any, name: str) -> Any:
            norm = nn.BatchNorm(not train, momentum=0.999, epsilon=1e-3, name=name)
            return norm(x)

        x = conv(x, 32, "Conv1", kernel_size=(3, 3), strides=2)
        x = nn.relu6(norm(x, "bn_Conv1"))
        for number, (features, stride) in enumerate(MOBILE_BLOCKS):
            name = f"block_{number}" if number else "expanded_conv"
            short, channels = x, x.shape[-1]
            if number:
                x = conv(x, 6 * channels, f"{name}_expand")
                x = nn.relu6(norm(x, f"{name}_expand_BN"))
            x = conv(
                x,
                x.shape[-1],
                f"{name}_depthwise",
                kernel_size=(3, 3),
                strides=stride,
                feature_group_count=x.shape[-1],
            )
            x = nn.relu6(norm(x, f"{name}_depthwise_BN"))
            x = norm(conv(x, features, f"{name}_project"), f"{name}_project_BN")
            if stride == 1 and channels == features:
                x = short + x
        x = nn.relu6(norm(conv(x, 1280, "Conv_1"), "Conv_1_bn"))
        return nn.Dense(10, name="predictions")(x.mean(axis=(1, 2)))


class UNet(nn.Module):
    """A small U-Net (Ronneberger et al., 2015, arXiv:1505.04597)."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        def two(x: Any, features: int, name: str) -> Any:
            for number in (1, 2):
                conv = nn.Conv(features, (3, 3), name=f"{name}_conv{number}")
                x = nn.relu(conv(x))
            return x

        kept = []
        for level, features in enumerate(UNET_FEATURES):
            x = two(x, features, f"down{level}")
            kept.append(x)
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = two(x, 2 * UNET_FEATURES[-1], "middle")
        for level, features in reversed(list(enumerate(UNET_FEATURES))):
            up = nn.ConvTranspose(
                features, (2, 2), (2, 2), transpose_kernel=True, name=f"up{level}_conv0"
            )
            x = nn.relu(up(x))
            x = two(jnp.concatenate([kept.pop(), x], -1), features, f"up{level}")
        return nn.Conv(10, (1, 1), name="head")(x)

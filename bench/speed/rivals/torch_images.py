"""Networks of images in PyTorch, with the names that Keras gives their layers."""

import itertools
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from bench.speed.networks import (
    DENSENET_BLOCKS,
    INCEPTION_LAYERS,
    MOBILE_BLOCKS,
    RESNET_STAGES,
    SMALL_RESNET_STAGES,
    UNET_FEATURES,
)


class _Residual(nn.Module):
    def _conv(self, x: Any, name: str) -> Any:
        return self.get_submodule(f"{name}_bn")(self.get_submodule(f"{name}_conv")(x))


class ResNet50(_Residual):
    """ResNet-50 (He et al., 2015, arXiv:1512.03385)."""

    def __init__(self) -> None:
        super().__init__()

        def conv(name: str, *sizes: int, **options: Any) -> None:
            self.add_module(f"{name}_conv", nn.Conv2d(*sizes, **options))
            # In PyTorch, momentum is the weight of the new value.
            norm = nn.BatchNorm2d(sizes[1], eps=1.001e-5, momentum=0.01)
            self.add_module(f"{name}_bn", norm)

        conv("conv1", 3, 64, 7, stride=2, padding=3)
        channels = 64
        self.blocks = []
        for stage, (features, blocks) in enumerate(RESNET_STAGES, start=2):
            for block in range(1, blocks + 1):
                name = f"conv{stage}_block{block}"
                self.blocks.append(name)
                stride = 2 if block == 1 and stage > 2 else 1
                if block == 1:
                    conv(f"{name}_0", channels, 4 * features, 1, stride=stride)
                conv(f"{name}_1", channels, features, 1, stride=stride)
                conv(f"{name}_2", features, features, 3, padding=1)
                conv(f"{name}_3", features, 4 * features, 1)
                channels = 4 * features
        self.predictions = nn.Linear(channels, 10)

    def forward(self, x: Any) -> Any:
        x = F.max_pool2d(F.relu(self._conv(x, "conv1")), 3, 2, 1)
        for name in self.blocks:
            short = self._conv(x, f"{name}_0") if name.endswith("block1") else x
            x = F.relu(self._conv(x, f"{name}_1"))
            x = F.relu(self._conv(x, f"{name}_2"))
            x = F.relu(short + self._conv(x, f"{name}_3"))
        return self.predictions(x.mean((2, 3)))


class ResNet20(_Residual):
    """ResNet-20 for small images (He et al., 2015, arXiv:1512.03385)."""

    def __init__(self) -> None:
        super().__init__()

        def conv(name: str, before: int, features: int, size: int, stride: int) -> None:
            options = {"padding": size // 2, "bias": False}
            layer = nn.Conv2d(before, features, size, stride, **options)
            self.add_module(f"{name}_conv", layer)
            norm = nn.BatchNorm2d(features, eps=1.001e-5, momentum=0.01)
            self.add_module(f"{name}_bn", norm)

        conv("conv1", 3, 16, 3, 1)
        channels = 16
        self.blocks = []
        for stage, (features, blocks) in enumerate(SMALL_RESNET_STAGES, start=2):
            for block in range(1, blocks + 1):
                name = f"conv{stage}_block{block}"
                halves = block == 1 and stage > 2
                if halves:
                    conv(f"{name}_0", channels, features, 1, 2)
                conv(f"{name}_1", channels, features, 3, 2 if halves else 1)
                conv(f"{name}_2", features, features, 3, 1)
                self.blocks.append((name, halves))
                channels = features
        self.predictions = nn.Linear(channels, 10)

    def forward(self, x: Any) -> Any:
        x = F.relu(self._conv(x, "conv1"))
        for name, halves in self.blocks:
            short = self._conv(x, f"{name}_0") if halves else x
            x = F.relu(self._conv(x, f"{name}_1"))
            x = F.relu(short + self._conv(x, f"{name}_2"))
        return self.predictions(x.mean((2, 3)))


class DenseNet121(nn.Module):
    """DenseNet-121 (Huang et al., 2017, arXiv:1608.06993)."""

    def __init__(self) -> None:
        super().__init__()

        def conv(name: str, *sizes: int, **options: Any) -> None:
            layer = nn.Conv2d(*sizes, bias=False, **options)
            self.add_module(f"{name}_conv", layer)

        def norm(name: str, channels: int) -> None:
            layer = nn.BatchNorm2d(channels, eps=1.001e-5, momentum=0.01)
            self.add_module(name, layer)

        conv("conv1", 3, 64, 7, stride=2, padding=3)
        norm("conv1_bn", 64)
        channels = 64
        for block, size in enumerate(DENSENET_BLOCKS, start=2):
            if block > 2:
                norm(f"pool{block - 1}_bn", channels)
                conv(f"pool{block - 1}", channels, channels // 2, 1)
                channels //= 2
            for layer in range(1, size + 1):
                name = f"conv{block}_block{layer}"
                norm(f"{name}_0_bn", channels)
                conv(f"{name}_1", channels, 128, 1)
                norm(f"{name}_1_bn", 128)
                conv(f"{name}_2", 128, 32, 3, padding=1)
                channels += 32
        norm("bn", channels)
        self.predictions = nn.Linear(channels, 10)

    def forward(self, x: Any) -> Any:
        conv = lambda x, name: self.get_submodule(f"{name}_conv")(x)
        active = lambda x, name: F.relu(self.get_submodule(name)(x))
        x = F.max_pool2d(active(conv(x, "conv1"), "conv1_bn"), 3, 2, 1)
        for block, size in enumerate(DENSENET_BLOCKS, start=2):
            if block > 2:
                name = f"pool{block - 1}"
                x = F.avg_pool2d(conv(active(x, f"{name}_bn"), name), 2)
            for layer in range(1, size + 1):
                name = f"conv{block}_block{layer}"
                new = conv(active(x, f"{name}_0_bn"), f"{name}_1")
                new = conv(active(new, f"{name}_1_bn"), f"{name}_2")
                x = torch.cat([x, new], 1)
        return self.predictions(active(x, "bn").mean((2, 3)))


class InceptionV3(nn.Module):
    """Inception v3 (Szegedy et al., 2016, arXiv:1512.00567)."""

    def __init__(self) -> None:
        super().__init__()
        places = _places()

        def conv(
            channels: int, features: int, rows: int, columns: int, stride: int
        ) -> int:
            place = next(places)
            padding = (0, 0) if stride else (rows // 2, columns // 2)
            size, options = (rows, columns), {"padding": padding, "bias": False}
            layer = nn.Conv2d(channels, features, size, stride or 1, **options)
            self.add_module(f"conv2d{place}", layer)
            norm = nn.BatchNorm2d(features, eps=1e-3, momentum=0.01)
            norm.weight.requires_grad_(False)  # Keras' have no scale
            self.add_module(f"batch_normalization{place}", norm)
            return features

        def follow(channels: int, layers: Any) -> int:
            for layer in layers:
                if isinstance(layer, str):
                    continue
                if isinstance(layer[0], int):
                    channels = conv(channels, *layer)
                else:
                    channels = sum(follow(channels, branch) for branch in layer)
            return channels

        self.predictions = nn.Linear(follow(3, INCEPTION_LAYERS), 10)

    def forward(self, x: Any) -> Any:
        places = _places()

        def conv(x: Any) -> Any:
            place = next(places)
            x = self.get_submodule(f"conv2d{place}")(x)
            return F.relu(self.get_submodule(f"batch_normalization{place}")(x))

        def follow(x: Any, layers: Any) -> Any:
            for layer in layers:
                if layer == "max":
                    x = F.max_pool2d(x, 3, 2)
                elif layer == "avg":
                    x = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
                elif isinstance(layer[0], int):
                    x = conv(x)
                else:
                    x = torch.cat([follow(x, branch) for branch in layer], 1)
            return x

        return self.predictions(follow(x, INCEPTION_LAYERS).mean((2, 3)))


def _places() -> Any:
    """Return the suffixes that Keras gives to the names of unnamed layers."""
    return (f"_{number}" if number else "" for number in itertools.count())


class MobileNetV2(nn.Module):
    """MobileNetV2 (Sandler et al., 2018, arXiv:1801.04381)."""

    def __init__(self) -> None:
        super().__init__()

        def conv(name: str, norm: str, *sizes: int, **options: Any) -> None:
            self.add_module(name, nn.Conv2d(*sizes, bias=False, **options))
            self.add_module(norm, nn.BatchNorm2d(sizes[1], eps=1e-3, momentum=0.001))

        conv("Conv1", "bn_Conv1", 3, 32, 3, stride=2)
        channels = 32
        self.blocks = []
        for number, (features, stride) in enumerate(MOBILE_BLOCKS):
            name = f"block_{number}" if number else "expanded_conv"
            expand, depthwise, project = (
                (f"{name}_{part}", f"{name}_{part}_BN")
                for part in ("expand", "depthwise", "project")
            )
            inner = 6 * channels if number else channels
            if number:
                conv(*expand, channels, inner, 1)
            padding = 1 if stride == 1 else 0
            spread = {"stride": stride, "padding": padding, "groups": inner}
            conv(*depthwise, inner, inner, 3, **spread)
            conv(*project, inner, features, 1)
            self.blocks.append((name, stride, stride == 1 and channels == features))
            channels = features
        conv("Conv_1", "Conv_1_bn", channels, 1280, 1)
        self.predictions = nn.Linear(1280, 10)

    def forward(self, x: Any) -> Any:
        through = lambda x, *names: [x := self.get_submodule(n)(x) for n in names][-1]
        x = F.relu6(through(_after(x), "Conv1", "bn_Conv1"))
        for name, stride, adds in self.blocks:
            short = x
            if name != "expanded_conv":
                x = F.relu6(through(x, f"{name}_expand", f"{name}_expand_BN"))
            x = _after(x) if stride == 2 else x
            x = F.relu6(through(x, f"{name}_depthwise", f"{name}_depthwise_BN"))
            x = through(x, f"{name}_project", f"{name}_project_BN")
            x = short + x if adds else x
        x = F.relu6(through(x, "Conv_1", "Conv_1_bn"))
        return self.predictions(x.mean((2, 3)))


def _after(x: Any) -> Any:
    """Pad like Keras where a window of 3 moves by 2: a row and a column at the end."""
    return F.pad(x, (0, 1, 0, 1))


class UNet(nn.Module):
    """A small U-Net (Ronneberger et al., 2015, arXiv:1505.04597)."""

    def __init__(self) -> None:
        super().__init__()

        def two(name: str, channels: int, features: int) -> None:
            first = nn.Conv2d(channels, features, 3, padding=1)
            self.add_module(f"{name}_conv1", first)
            second = nn.Conv2d(features, features, 3, padding=1)
            self.add_module(f"{name}_conv2", second)

        channels = 3
        for level, features in enumerate(UNET_FEATURES):
            two(f"down{level}", channels, features)
            channels = features
        two("middle", channels, 2 * channels)
        channels *= 2
        for level, features in reversed(list(enumerate(UNET_FEATURES))):
            up = nn.ConvTranspose2d(channels, features, 2, stride=2)
            self.add_module(f"up{level}_conv0", up)
            two(f"up{level}", 2 * features, features)
            channels = features
        self.head = nn.Conv2d(channels, 10, 1)

    def forward(self, x: Any) -> Any:
        def conv(x: Any, name: str) -> Any:
            return F.relu(self.get_submodule(name)(x))

        two = lambda x, name: conv(conv(x, f"{name}_conv1"), f"{name}_conv2")
        kept = []
        for level in range(len(UNET_FEATURES)):
            x = two(x, f"down{level}")
            kept.append(x)
            x = F.max_pool2d(x, 2)
        x = two(x, "middle")
        for level in reversed(range(len(UNET_FEATURES))):
            x = torch.cat([kept.pop(), conv(x, f"up{level}_conv0")], 1)
            x = two(x, f"up{level}")
        return self.head(x)

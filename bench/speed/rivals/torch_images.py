"""Networks of images in PyTorch, with the names that Keras gives their layers."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from bench.speed.networks import MOBILE_BLOCKS, RESNET_STAGES, UNET_FEATURES


class ResNet50(nn.Module):
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

    def _conv(self, x: Any, name: str) -> Any:
        return self.get_submodule(f"{name}_bn")(self.get_submodule(f"{name}_conv")(x))


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

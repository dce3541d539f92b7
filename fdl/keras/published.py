"""Adapt weights that Keras publishes, and recognize the model that they are for."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from fdl.keras.layers import Layer

WEIGHTS = {
    "DenseNet121": 7_037_504,
    "DenseNet169": 12_642_880,
    "DenseNet201": 18_321_984,
    "InceptionV3": 21_802_784,
    "ResNet50": 23_587_712,
    "ResNet101": 42_658_176,
    "ResNet152": 58_370_944,
    "ResNet50V2": 23_564_800,
    "VGG16": 14_714_688,
    "VGG19": 20_024_384,
}
"""Numbers of weights without the head, by which a file is recognized."""

_OLD_HEADS = {"probs", "fc1000"}  # of ResNet and DenseNet, until 2019
_HEAD = {"fc1", "fc2", "predictions"}


class Summed(NamedTuple):
    """A kernel for color images whose channels are summed, for grayscale images.

    Attributes:
        shape: Its shape, with one channel.
        dtype: Its type.
        of: The kernel in the file.
    """

    shape: tuple[int, ...]
    dtype: Any
    of: Any


def adapted(ours: Sequence[Layer], theirs: Sequence[Layer]) -> list[Layer]:
    """Return the layers of a file, adapted to a module where they almost fit.

    Old names of heads are replaced by the current one. And if the module's first kernel
    has one channel, and the file's has three and the same shape otherwise, the channels
    are summed: on a grayscale image, the result equals that of the file's kernel on
    three equal channels.
    """
    found = list(theirs)
    for number, their in enumerate(found):
        if their.names[-1:] and their.names[-1] in _OLD_HEADS:
            found[number] = their._replace(names=("predictions",))
    first = next((each for each in ours if len(each.arrays[0].shape) == 4), None)
    if first is None or first.arrays[0].shape[2] != 1:
        return found
    rows, columns, _, features = first.arrays[0].shape
    fits = [
        number
        for number, their in enumerate(found)
        if tuple(their.arrays[0].shape) == (rows, columns, 3, features)
    ]
    if len(fits) == 1:
        (number,) = fits
        kernel, *rest = found[number].arrays
        summed = Summed((rows, columns, 1, features), kernel.dtype, kernel)
        found[number] = found[number]._replace(arrays=(summed, *rest))
    return found


def variant(ours: Sequence[Layer], theirs: Sequence[Layer]) -> str:
    """Return sentences that say how a file that does not fit differs from a model."""
    return " ".join(
        filter(
            None,
            (
                _published(theirs),
                other_depths(_names(ours), _names(theirs)),
                _other_channels(ours, theirs),
                _without_head(_names(ours), _names(theirs)),
            ),
        )
    )


def other_depths(ours: Iterable[str], theirs: Iterable[str]) -> str:
    """Return a sentence that compares the depths of stages; empty if they are equal.

    Args:
        ours: Names of layers of a model, such as `conv2_block1` or `block1_conv2`.
        theirs: Names of layers in a file.

    Example:
        >>> other_depths(["conv2_block1", "conv3_block1"], ["conv2_block2_1_conv"])
        "Its stages have 2 blocks, but the model's have 1, 1."
    """
    own, found = _depths(ours), _depths(theirs)
    if not found or own == found:
        return ""
    shown = lambda depths: ", ".join(map(str, depths)) or "none"
    return f"Its stages have {shown(found)} blocks, but the model's have {shown(own)}."


def _depths(names: Iterable[str]) -> list[int]:
    depths: dict[str, int] = {}
    for name in names:
        found = re.match(r"(conv\d+_block|block\d+_conv)(\d+)", name)
        if found:
            depths[found[1]] = max(int(found[2]), depths.get(found[1], 0))
    return [depth for _, depth in sorted(depths.items())]


def _other_channels(ours: Sequence[Layer], theirs: Sequence[Layer]) -> str:
    own, found = (
        {x.name: x.arrays[0].shape for x in each if len(x.arrays[0].shape) == 4}
        for each in (ours, theirs)
    )
    first = next(iter(own), "")
    if first not in found or own[first][2] == found[first][2]:
        return ""
    channels = found[first][2]
    return (
        f"It takes images with {channels} channels, but the model takes "
        f"{own[first][2]}: load the data with {channels} (DATASET?channels={channels})."
    )


def _without_head(ours: Sequence[str], theirs: Sequence[str]) -> str:
    missing = {*ours} - {*theirs}
    if not missing or not missing <= _HEAD:
        return ""
    return (
        "To load everything except the head, pass "
        "only=fdl.models.backbone_layers(model, image)."
    )


def _names(layers: Sequence[Layer]) -> list[str]:
    return [layer.name for layer in layers]


def _published(layers: Sequence[Layer]) -> str:
    sizes = [sum(math.prod(x.shape) for x in layer.arrays) for layer in layers]
    named = list(zip((layer.name for layer in layers), sizes, strict=True))
    body = sum(size for name, size in named if name not in _HEAD)
    heads = [layer.arrays[-1] for layer in layers if layer.name == "predictions"]
    for name, size in WEIGHTS.items():
        if size == body:
            (classes,) = heads[0].shape if heads else (None,)
            if classes:
                return f"It looks like {name} for {classes} classes."
            return f"It looks like {name} with include_top=False."
    return ""

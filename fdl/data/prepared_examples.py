"""Examples of a directory of TensorFlow Datasets: images or texts with classes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fdl.arrays import DataError
from fdl.data import prepared
from fdl.data.decoding import common_size
from fdl.data.image_arrays import COLORS
from fdl.data.images import bring
from fdl.data.kept import Contents, decoded_once
from fdl.data.own import Part
from fdl.untrusted import parse_json, read_text

PART_NAMES = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
"""Part of a dataset for each name of a split."""


def counts(version: Path) -> dict[str, int]:
    """Return the number of examples in each part, and in each split that is not one.

    Raises:
        DataError: If `dataset_info.json` is damaged.
    """
    try:
        info = parse_json(read_text(version / "dataset_info.json"))
        counts = {
            str(split["name"]): sum(map(int, split["shardLengths"]))
            for split in info["splits"]
        }
        return {PART_NAMES.get(name, name): n for name, n in counts.items()}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            f"{version}: dataset_info.json is damaged ({type(error).__name__}). "
            "Remove the directory and prepare it again."
        ) from error


class Examples(NamedTuple):
    """Contents of a directory.

    Attributes:
        parts: Parts by name.
        names: Class names.
        passed_over: Splits that are not a part, and are ignored.
        text: Feature with the text; None for images.
    """

    parts: dict[str, Part]
    names: tuple[str, ...]
    passed_over: list[str]
    text: str | None


def read_examples(
    version: Path,
    *,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    target: str | None = None,
    text: str | None = None,
    turn: Callable[[np.ndarray], np.ndarray] = lambda images: images,
) -> Examples:
    """Read a directory of images or texts with classes.

    Args:
        version: The directory.
        size: Height and width of the images; None for their own, or the rule of
            `folder:` if they differ.
        channels: 1 for gray, 3 for color; None for what the directory declares.
        target: Feature with the class; None for the only one.
        text: Feature with the text; None for the image, or if there is none, the only
            text.
        turn: Function applied to the images of each part.

    Raises:
        DataError: If the directory is damaged, or has no images or texts with classes.
    """
    counts(version)  # raises if the description is damaged

    def decode() -> Contents:
        nonlocal text
        parts, names, passed_over, text = _decode(version, size, channels, target, text)
        return *drop_unused(parts, names), passed_over

    parts, names, passed_over = decoded_once(
        "-".join(version.parts[-2:]),
        (size, channels, target, text),
        sorted(file for file in version.iterdir() if file.is_file()),
        decode,
    )
    if text is None:
        parts = {
            part: pair._replace(inputs=turn(pair.inputs))
            for part, pair in parts.items()
        }
    return Examples(parts, names or (), passed_over, text)


def _decode(
    version: Path,
    size: tuple[int, int] | None,
    channels: int | None,
    target: str | None,
    text: str | None,
) -> Examples:
    builder = prepared.open_builder(version)
    inputs, text, label, names = features(version, builder.info, target, text)
    parts, passed_over = {}, []
    if "train" not in builder.info.splits:
        known = ", ".join(builder.info.splits)
        raise DataError(f"{version} has no split named train, but {known}.")
    splits = {PART_NAMES.get(name, name): name for name in builder.info.splits}
    splits = {"train": "train"} | splits  # first, since it sets the size of images
    for part, split in splits.items():
        if part not in PART_NAMES.values():
            passed_over.append(split)
            continue
        if text is None:
            size = size or _size(builder, split, inputs)
            channels = channels or (1 if declared_shape(builder, inputs)[2] == 1 else 3)
        found, labels = [], []
        for example in prepared.examples(builder, split):
            labels.append(int(example[label]))
            found.append(converted(version, example[inputs], size, channels))
        if labels and max(labels) < 0:
            passed_over.append(f"{split} (without classes)")
        elif labels:
            array = np.array(found, object) if text else np.stack(found)
            parts[part] = Part(array, np.array(labels, np.int32))
    return Examples(parts, names, passed_over, text)


def drop_unused(
    parts: dict[str, Part], names: tuple[str, ...]
) -> tuple[dict[str, Part], tuple[str, ...]]:
    """Drop classes without examples, and renumber the labels of the parts.

    Raises:
        DataError: If a label is not among the classes.
    """
    used = np.unique(np.concatenate([part.targets for part in parts.values()]))
    if used[0] < 0 or used[-1] >= len(names):
        bad = used[0] if used[0] < 0 else used[-1]
        raise DataError(f"a label is {bad}, but there are {len(names)} classes from 0.")
    if len(used) == len(names):
        return parts, names
    return {
        name: Part(part.inputs, np.searchsorted(used, part.targets))
        for name, part in parts.items()
    }, tuple(names[label] for label in used)


def features(
    version: Path, info: Any, target: str | None, text: str | None
) -> tuple[str, str | None, str, tuple[str, ...]]:
    """Return the features of input, text and class, and the names of the classes."""
    kinds = {name: type(feature).__name__ for name, feature in info.features.items()}
    usual = info.supervised_keys or ()
    are_texts = text is not None or (
        "Text" in kinds.values() and "Image" not in kinds.values()
    )
    inputs = _only_feature(
        version, kinds, "Text" if are_texts else "Image", usual, text
    )
    label = _only_feature(version, kinds, "ClassLabel", usual, target)
    names = tuple(info.features[label].names)
    return inputs, inputs if are_texts else None, label, names


def _only_feature(
    version: Path,
    kinds: dict[str, str],
    kind: str,
    usual: tuple[Any, ...],
    named: str | None,
) -> str:
    option = {"ClassLabel": "target", "Text": "text"}.get(kind)
    candidates = [name for name, each in kinds.items() if each == kind]
    listed = ", ".join(f"{name} ({each})" for name, each in kinds.items())
    if named is not None:
        if named not in candidates:
            raise DataError(
                f"{version}: {option}={named!r} is not a {kind}; features: {listed}."
            )
        return named
    chosen = [name for name in usual if name in candidates] or candidates
    if len(chosen) != 1:
        raise DataError(
            f"{version} has {len(chosen) or 'no'} features {kind}, and one is needed; "
            f"features: {listed}."
            + (f" Name one as {option} (--{option})." if option else "")
        )
    return chosen[0]


def _size(builder: Any, split: str, image: str) -> tuple[int, int]:
    """Return the declared size of images, or a common one by the rule of `folder:`."""
    height, width, _ = declared_shape(builder, image)
    if height is not None and width is not None:
        return height, width
    found = prepared.examples(builder, split)
    return common_size([example[image].shape[:2] for example in found])


def declared_shape(
    builder: Any, image: str
) -> tuple[int | None, int | None, int | None]:
    """Return height, width and channels of the images; None for those undeclared."""
    return builder.info.features[image].shape


def converted(
    where: Path | str, found: Any, size: tuple[int, int] | None, channels: int | None
) -> Any:
    """Return a text, or an image converted to a size, and to gray or color."""
    if isinstance(found, bytes):
        return found.decode(errors="replace")
    assert size is not None
    assert channels is not None
    return bring(_pixels(where, found), size, channels)


def _pixels(where: Path | str, image: np.ndarray) -> np.ndarray:
    """Convert an image to uint8; it must have 1, 3 or 4 channels."""
    if image.dtype == np.uint16:
        image = np.rint(image / 257).astype(np.uint8)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in COLORS:
        raise DataError(
            f"{where}: an image is {image.dtype}{list(image.shape)}: expected uint8 "
            "or uint16 (height, width, channels), with 1, 3 or 4 channels."
        )
    return image

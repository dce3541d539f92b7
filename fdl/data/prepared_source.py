"""`tfds:NAME[/CONFIG][:VERSION]`: images that TensorFlow Datasets has prepared."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from fdl.arrays import DataError
from fdl.data import prepared, tfds
from fdl.data.dataset import Dataset
from fdl.data.decoding import common_size
from fdl.data.images import fit_picture
from fdl.data.own import Part, assemble
from fdl.data.source import Source, Status
from fdl.untrusted import parse_json, read_text

PART_NAMES = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
"""What splits are called, and the parts that they are."""

_LINE = re.compile(r"\w[\w.-]*(/[\w.+-]+)?(:\d+\.\d+\.\d+)?")


@dataclasses.dataclass(frozen=True)
class Prepared(Source):
    """A directory that TFDS has prepared, with an image and a class in each example.

    Features are decoded by TFDS itself, and only such as are known, see
    `fdl.data.prepared`. Images of unlike sizes are brought to one as those of folders.

    Attributes:
        name: The line that names it.
        path: `NAME[/CONFIG][:VERSION]`, below the folder of TFDS; the newest version if
            none is named.
        size: Height and width of the images; None for their own, or the rule of
            `folder:`.
        target: Feature that is the class; None for the only one.
    """

    path: PurePath
    size: tuple[int, int] | None = None
    target: str | None = None

    @classmethod
    def place(cls, text: str) -> PurePath:
        """Return it as it is: it is no path of this computer."""
        if not _LINE.fullmatch(text):
            raise DataError(
                f"'tfds:{text}': write tfds:NAME, tfds:NAME/CONFIG or "
                "tfds:NAME/CONFIG:1.0.0"
            )
        return PurePath(text)

    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Decode all examples."""
        version = find_version(str(self.path), data_dir or tfds.default_root())
        parts, names, passed_over = read_images(version, self.size, self.target)
        source = f"TFDS directory {version}"
        if passed_over:
            source += f"; passed over: {', '.join(passed_over)}"
        title = str(self.path)
        return assemble(
            parts, name=self.name, title=title, source=source, class_names=names
        )

    def status(self, data_dir: Path | None) -> Status:
        """Read the numbers of examples."""
        title = str(self.path)
        try:
            version = find_version(title, data_dir or tfds.default_root())
            count = _counts(version)
        except DataError as error:
            return Status(self.name, title, 0, 0, False, str(error))
        train = count.get("train", 0) + count.get("validation", 0)
        return Status(self.name, title, train, count.get("test", 0), True, str(version))


def find_version(line: str, root: Path) -> Path:
    """Return the directory of `NAME[/CONFIG][:VERSION]` below the folder of TFDS.

    Raises:
        DataError: If it is not there; says what is.
    """
    name, _, wanted = line.partition(":")
    folder = root / name
    found = _versions(folder)
    if not found and folder.is_dir():
        configs = [each for each in sorted(folder.iterdir()) if _versions(each)]
        if len(configs) > 1:
            known = ", ".join(f"tfds:{name}/{each.name}" for each in configs)
            raise DataError(f"{folder} has several configurations: choose one: {known}")
        if configs:
            folder, found = configs[0], _versions(configs[0])
    if not found:
        there = sorted(
            str(file.parent.parent.relative_to(root))
            for depth in ("*/*", "*/*/*")
            for file in root.glob(f"{depth}/dataset_info.json")
        )
        has = f"it has {', '.join(there)}" if there else "it has none"
        raise DataError(
            f"{name!r} is not among the datasets that TFDS has prepared in {root}; "
            f"{has}. Prepare it with tensorflow_datasets, or name its folder by "
            "data_dir or TFDS_DATA_DIR"
        )
    if wanted and wanted not in found:
        raise DataError(
            f"{folder} has no version {wanted}: choose one of {', '.join(found)}"
        )
    return folder / (wanted or list(found)[-1])


def _versions(folder: Path) -> list[str]:
    """Return the versions in a folder that are complete, oldest first."""
    names = [
        file.parent.name
        for file in folder.glob("*/dataset_info.json")
        if re.fullmatch(r"\d+\.\d+\.\d+", file.parent.name)
    ]
    return sorted(names, key=lambda name: [int(word) for word in name.split(".")])


def _counts(version: Path) -> dict[str, int]:
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
            "Remove the directory and prepare it again"
        ) from error


def read_images(
    version: Path,
    size: tuple[int, int] | None = None,
    target: str | None = None,
    *,
    turn: Callable[[np.ndarray], np.ndarray] = lambda images: images,
) -> tuple[dict[str, Part], tuple[str, ...], list[str]]:
    """Return the parts of a directory, its classes, and splits that are passed over.

    Args:
        version: The directory.
        size: Height and width to give; None for the images' own, or the rule of
            `folder:` where they have several.
        target: Feature that is the class; None for the only one.
        turn: What is done to the images of a part.

    Raises:
        DataError: If the directory is damaged, or has no images with classes.
    """
    _counts(version)  # says what is wrong with the description
    builder = prepared.open_builder(version)
    image, label, names = _features(version, builder.info, target)
    parts, passed_over = {}, []
    if "train" not in builder.info.splits:
        known = ", ".join(builder.info.splits)
        raise DataError(f"{version}: has no split named train, but {known}")
    splits = {PART_NAMES.get(name, name): name for name in builder.info.splits}
    splits = {"train": "train"} | splits  # which says the size, if images have many
    for part, split in splits.items():
        if part not in PART_NAMES.values():
            passed_over.append(split)
            continue
        if size is None:
            size = _size(builder, split, image)
        images, labels = [], []
        for example in prepared.examples(builder, split):
            labels.append(int(example[label]))
            images.append(_fitted(version, example[image], size))
        if labels and max(labels) < 0:
            passed_over.append(f"{split} (without classes)")
        elif labels:
            parts[part] = Part(turn(np.stack(images)), np.array(labels, np.int32))
    return (*drop_unused(parts, names), passed_over)


def drop_unused(
    parts: dict[str, Part], names: tuple[str, ...]
) -> tuple[dict[str, Part], tuple[str, ...]]:
    """Return parts and classes without the classes that no example has.

    Raises:
        DataError: If a label is not among the classes.
    """
    used = np.unique(np.concatenate([part.targets for part in parts.values()]))
    if used[0] < 0 or used[-1] >= len(names):
        bad = used[0] if used[0] < 0 else used[-1]
        raise DataError(f"a label is {bad}, but there are {len(names)} classes from 0")
    if len(used) == len(names):
        return parts, names
    return {
        name: Part(part.inputs, np.searchsorted(used, part.targets))
        for name, part in parts.items()
    }, tuple(names[label] for label in used)


def _features(
    version: Path, info: Any, target: str | None
) -> tuple[str, str, tuple[str, ...]]:
    """Return the names of the image and of the class, and those of the classes."""
    kinds = {name: type(feature).__name__ for name, feature in info.features.items()}
    usual = info.supervised_keys or ()
    image = _the_one(version, kinds, "Image", usual, None)
    label = _the_one(version, kinds, "ClassLabel", usual, target)
    return image, label, tuple(info.features[label].names)


def _the_one(
    version: Path,
    kinds: dict[str, str],
    kind: str,
    usual: tuple[Any, ...],
    named: str | None,
) -> str:
    candidates = [name for name, each in kinds.items() if each == kind]
    listed = ", ".join(f"{name} ({each})" for name, each in kinds.items())
    if named is not None:
        if named not in candidates:
            raise DataError(
                f"{version}: target={named!r} is no {kind}; features: {listed}"
            )
        return named
    chosen = [name for name in usual if name in candidates] or candidates
    if len(chosen) != 1:
        raise DataError(
            f"{version}: has {len(chosen) or 'no'} features {kind}, and one is needed; "
            f"features: {listed}"
            + (". Name one as target (--target)" if kind == "ClassLabel" else "")
        )
    return chosen[0]


def _size(builder: Any, split: str, image: str) -> tuple[int, int]:
    """Return the size of all images, or what `folder:` makes of their sizes."""
    height, width, _ = builder.info.features[image].shape
    if height is not None and width is not None:
        return height, width
    found = prepared.examples(builder, split)
    return common_size([example[image].shape[:2] for example in found])


def _fitted(version: Path, image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if image.dtype == np.uint16:
        image = np.rint(image / 257).astype(np.uint8)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3, 4):
        raise DataError(
            f"{version}: an image is {image.dtype}{list(image.shape)}: expected uint8 "
            "or uint16 (height, width, channels), with 1, 3 or 4 channels"
        )
    if image.shape[2] == 4:  # as it looks on white
        opacity = image[..., 3:] / 255
        seen = opacity * image[..., :3] + (1 - opacity) * 255
        image = np.rint(seen).astype(np.uint8)
    return image if image.shape[:2] == size else fit_picture(image, size)

"""What is in a dataset: numbers, classes, duplicates, and a sheet of its images."""

import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdl.arrays import DataError
from fdl.files import write_whole

if TYPE_CHECKING:
    from fdl.data.dataset import Dataset

_COLUMNS = 12  # images of a class on a sheet
_MOST_ROWS = 40  # classes on a sheet
_MARGIN = 2  # pixels between images
_LETTERS = 90  # pixels for the name of a class


class Overlap(NamedTuple):
    """Examples of a part whose inputs are, byte for byte, in another part too.

    Attributes:
        part: The part.
        within: The other part, or the same for what it holds more than once.
        examples: Number of examples of `part` that are also in `within`; or by how many
            examples `part` exceeds its different ones.
    """

    part: str
    within: str
    examples: int


class Description(NamedTuple):
    """What is in a dataset; printed, a summary.

    Attributes:
        title: Name for people.
        source: Where it came from.
        kind: As in `DatasetInfo`.
        input_shape: Shape of one input.
        counts: Number of examples of each part.
        classes: Of each class its name and its number of examples in each part.
        overlaps: Exact duplicates, those that are there.
        contradictions: Number of inputs that are there with different targets.
    """

    title: str
    source: str
    kind: str
    input_shape: tuple[int, ...]
    counts: dict[str, int]
    classes: dict[str, dict[str, int]]
    overlaps: tuple[Overlap, ...]
    contradictions: int

    @property
    def leaks(self) -> tuple[Overlap, ...]:
        """Duplicates between parts: what is measured on them means little."""
        return tuple(each for each in self.overlaps if each.part != each.within)

    def __str__(self) -> str:
        """Return the summary."""
        shape = "x".join(map(str, self.input_shape))
        lines = [
            f"{self.title}: {self.kind}, inputs of {shape}",
            self.source,
            ", ".join(f"{part} {count:,}" for part, count in self.counts.items()),
        ]
        width = max(map(len, self.classes), default=0)
        lines += [
            f"  {name:<{width}}  "
            + "  ".join(f"{part} {count:,}" for part, count in per_part.items())
            for name, per_part in self.classes.items()
        ]
        for part, within, count in self.overlaps:
            share = f"{count:,} of {self.counts[part]:,} {part} examples"
            lines.append(
                f"{share} repeat others of the part"
                if part == within
                else f"leak: {share} are also {within} examples"
            )
        if self.contradictions:
            lines.append(f"{self.contradictions:,} inputs have more than one target")
        return "\n".join(lines)


def describe(dataset: "Dataset") -> Description:
    """Count what is in a dataset, and look for exact duplicates."""
    parts = {
        name: part
        for name in ("train", "validation", "test")
        if (part := getattr(dataset, name)) is not None
    }
    inputs = {name: _digests(part[0]) for name, part in parts.items()}
    info = dataset.info
    classes = {}
    if info.kind in ("image", "vector"):
        each = {
            name: np.bincount(part.label, minlength=info.num_classes).tolist()
            for name, part in parts.items()
        }
        classes = {
            title: {name: counts[index] for name, counts in each.items()}
            for index, title in enumerate(info.class_names)
        }
    targets: dict[bytes, set[bytes]] = {}
    if info.kind != "text":  # whose targets follow from the inputs, but for one token
        for name, part in parts.items():
            pairs = zip(inputs[name], _digests(part[1]), strict=True)
            for digest, target in pairs:
                targets.setdefault(digest, set()).add(target)
    return Description(
        title=info.title,
        source=info.source,
        kind=info.kind,
        input_shape=info.input_shape,
        counts={name: len(part[0]) for name, part in parts.items()},
        classes=classes,
        overlaps=_overlaps(inputs),
        contradictions=sum(len(found) > 1 for found in targets.values()),
    )


def _digests(array: np.ndarray) -> list[bytes]:
    rows = np.ascontiguousarray(array)
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]


def _overlaps(inputs: dict[str, list[bytes]]) -> tuple[Overlap, ...]:
    found, names = [], list(inputs)
    for number, part in enumerate(names):
        counts = Counter(inputs[part])
        found.append(Overlap(part, part, len(inputs[part]) - len(counts)))
        for within in names[:number]:
            known = set(inputs[within])
            shared = sum(n for digest, n in counts.items() if digest in known)
            found.append(Overlap(part, within, shared))
    return tuple(each for each in found if each.examples)


def draw_sheet(dataset: "Dataset", path: Path | str) -> None:
    """Write a PNG picture of the first training images of each class, a row for each.

    Args:
        dataset: Images.
        path: The file.

    Raises:
        DataError: If the dataset holds no images, or the file cannot be written.
    """
    info, path = dataset.info, Path(path)
    if info.kind != "image":
        raise DataError(f"{info.title} holds no images to draw, but {info.kind} data")
    from PIL import Image, ImageDraw

    height, width, channels = info.input_shape
    row, column = height + _MARGIN, width + _MARGIN
    names = info.class_names[:_MOST_ROWS]
    size = (_LETTERS + _COLUMNS * column, len(names) * max(row, 12))
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for index, rows in enumerate(_first_of_each(dataset, len(names))):
        top = index * max(row, 12)
        pen.text((2, top + height // 2 - 5), names[index][:14], fill="black")
        for number, image in enumerate(np.asarray(dataset.train.image)[rows]):
            pixels = (
                image
                if image.dtype == np.uint8
                else (255 * image + 0.5).astype(np.uint8)
            )
            drawn = Image.fromarray(pixels if channels == 3 else pixels[..., 0])
            sheet.paste(drawn, (_LETTERS + number * column, top))
    buffer = io.BytesIO()
    sheet.save(buffer, "png")
    try:
        write_whole(path, buffer.getbuffer())
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}") from error


def _first_of_each(dataset: "Dataset", count: int) -> Sequence[np.ndarray]:
    label = np.asarray(dataset.train.label)
    return [np.flatnonzero(label == index)[:_COLUMNS] for index in range(count)]

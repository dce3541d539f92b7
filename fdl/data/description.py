"""Descriptions of datasets: counts, balance, duplicates, and sheets of examples."""

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from fdl.arrays import Batch, DataError, Documents, PyTree
from fdl.data.dataset import SPECIAL, Dataset, DatasetInfo
from fdl.pixels import enlarged, enlargement, write_pixels
from fdl.untrusted import visible

_COLUMNS = 10  # examples of a class on a contact sheet
_MOST_ROWS = 40  # classes on a contact sheet
_SHOWN = 12  # classes in the text
_FILES = 3  # files in a line of the text

Place = tuple[str, int]
"""An example: the name of its part, and its row."""


class Description(NamedTuple):
    """Contents of a dataset; `str` returns them as text.

    Attributes:
        info: Description of the dataset.
        counts: Number of examples in each part.
        balance: Number of examples of each class in each part; empty if there are no
            classes.
        equal: Examples with equal inputs, a tuple for each such input.
        files: File of each example, as in `Dataset`.
    """

    info: DatasetInfo
    counts: dict[str, int]
    balance: dict[str, tuple[int, ...]]
    equal: tuple[tuple[Place, ...], ...] = ()
    files: Mapping[str, np.ndarray] | None = None

    @property
    def repeated(self) -> dict[str, int]:
        """Number of examples in each part whose input occurs earlier in it."""
        return {
            part: sum(max(0, count[part] - 1) for count in self._occurrences())
            for part in self.counts
        }

    @property
    def leaks(self) -> dict[tuple[str, str], int]:
        """Number of examples in the second part whose input is also in the first.

        By the names of both parts; only pairs of parts that share inputs.
        """
        shared = {
            (first, second): sum(c[second] for c in self._occurrences() if c[first])
            for first, second in itertools.combinations(self.counts, 2)
        }
        return {pair: count for pair, count in shared.items() if count}

    def _occurrences(self) -> Iterator[Counter[str]]:
        """Yield how often each part contains an input that occurs more than once."""
        for group in self.equal:
            yield Counter(part for part, _ in group)

    def __str__(self) -> str:
        """Return a line for each fact."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        info = self.info
        yield f"{info.title}: {info.source}"
        yield (
            ", ".join(f"{n:,} {part}" for part, n in self.counts.items()) + " examples"
        )
        if info.kind == "pair":
            yield from self._pair_lines()
        else:
            yield f"inputs: {info.kind} of shape {info.input_shape}"
        if info.kind == "number":
            yield f"to predict: {info.class_names[0]}"
        elif info.kind == "text":
            yield f"{info.num_classes} different characters"
        elif info.kind == "music":
            yield f"{info.num_classes} keys"
        elif info.kind != "pair":
            yield f"{info.num_classes} classes"
        if info.kind == "document":
            yield f"{len(info.vocabulary):,} words"
        for row, name in enumerate(info.class_names[:_SHOWN]):
            if self.balance:
                counts = " ".join(f"{of[row]:>8,}" for of in self.balance.values())
                yield f"  {counts}  {name}"
        if self.balance and info.num_classes > _SHOWN:
            yield f"  and {info.num_classes - _SHOWN} more"
        for part, count in self.repeated.items():
            if count:
                occur = "input occurs" if count == 1 else "inputs occur"
                files = self._files(part, part)
                yield f"{part}: {count:,} {occur} earlier in this part{files}"
        yield from self.leak_lines()
        if not self.leaks:
            yield "no input of a part is in another one"

    def _pair_lines(self) -> Iterator[str]:
        info = self.info
        vocabularies = (info.vocabulary, info.class_names)
        lengths = (info.input_shape[0], info.target_length - 1)
        for name, unit, length, known in zip(
            info.columns, info.units, lengths, vocabularies, strict=True
        ):
            different = len(known) - len(SPECIAL)
            yield f"{name}: at most {length} {unit}, {different:,} different ones"

    def leak_lines(self) -> list[str]:
        """Return a line for each pair of parts that share inputs."""
        return [
            f"LEAK: {count:,} of the {self.counts[second]:,} {second} inputs "
            f"{'is' if count == 1 else 'are'} also in the {first} part"
            f"{self._files(second, first)}"
            for (first, second), count in self.leaks.items()
        ]

    def copies(self) -> list[str]:
        """Return a line for each input that occurs more than once: where it occurs."""
        return [" = ".join(map(self._name, group)) for group in self.equal]

    def _files(self, one: str, other: str) -> str:
        """Return the first copies within a part or between two, if they are files."""
        if self.files is None:
            return ""
        pairs = []
        for group in self.equal:
            originals = [place for place in group if place[0] == other]
            copies = [place for place in group if place[0] == one]
            if one == other:
                copies = copies[1:]
            if originals:
                original = self._name(originals[0])
                pairs += [f"{self._name(copy)} = {original}" for copy in copies]
        more = f" and {len(pairs) - _FILES:,} more" if len(pairs) > _FILES else ""
        return f": {', '.join(pairs[:_FILES])}{more}"

    def _name(self, place: Place) -> str:
        part, row = place
        if self.files is None:
            return f"{part}[{row}]"
        return visible(str(self.files[part][row]))


def describe(dataset: Dataset) -> Description:
    """Count the examples of a dataset, and look for inputs that are exactly equal.

    Example:
        >>> from fdl.data import from_arrays
        >>> x = np.arange(16, dtype=np.uint8).repeat(9).reshape(16, 3, 3)
        >>> data = from_arrays(x, np.arange(16) % 2, test=(x[:4], np.arange(4) % 2))
        >>> described = describe(data)
        >>> described.leaks, described.copies()[0]
        ({('train', 'test'): 4}, 'train[0] = test[0]')
    """
    parts = {
        name: part
        for name in ("train", "validation", "test")
        if (part := getattr(dataset, name)) is not None
    }
    places: dict[bytes, list[Place]] = {}
    for name, part in parts.items():
        for row, digest in enumerate(_digests(part)):
            places.setdefault(digest, []).append((name, row))
    classes = dataset.info.num_classes
    return Description(
        dataset.info,
        {name: len(part[0]) for name, part in parts.items()},
        {
            name: tuple(np.bincount(np.asarray(part.label), minlength=classes).tolist())
            for name, part in parts.items()
            if isinstance(part, (Batch, Documents))
        },
        tuple(tuple(group) for group in places.values() if len(group) > 1),
        dataset.files,
    )


def draw_contact_sheet(dataset: Dataset, path: Path | str) -> None:
    """Write a picture with a row of training images for each class, in order.

    Args:
        dataset: The dataset.
        path: The file; its suffix sets the format: `.png`, `.svg` or `.pdf`.

    Raises:
        DataError: If the dataset has no images.
    """
    if dataset.info.kind != "image":
        raise DataError(f"{dataset.info.title} has no images to draw.")
    height, width, _ = dataset.info.input_shape
    write_pixels(path, enlarged(_sheet(dataset), enlargement(height, width)))


def _sheet(dataset: Dataset) -> UInt8[np.ndarray, "height width channels"]:
    height, width, channels = dataset.info.input_shape
    classes = min(dataset.info.num_classes, _MOST_ROWS)
    rows, columns = classes * (height + 1) - 1, _COLUMNS * (width + 1) - 1
    sheet = np.full((rows, columns, channels), 255, np.uint8)
    label = np.asarray(dataset.train.label)
    for row in range(classes):
        for column, index in enumerate(np.flatnonzero(label == row)[:_COLUMNS]):
            image = np.asarray(dataset.train.image[index])
            if image.dtype != np.uint8:
                image = np.rint(image * 255).clip(0, 255).astype(np.uint8)
            top, left = row * (height + 1), column * (width + 1)
            sheet[top : top + height, left : left + width] = image
    return sheet


def _digests(part: PyTree) -> list[bytes]:
    return [
        hashlib.blake2b(np.ascontiguousarray(row).data, digest_size=16).digest()
        for row in np.asarray(part[0])
    ]

"""`hf:PATH`: images or texts in Parquet files, as the Hugging Face Hub stores them."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fdl.arrays import DataError
from fdl.data import pictures
from fdl.data.dataset import Dataset
from fdl.data.decoding import common_size
from fdl.data.documents import assemble_documents, classes_of
from fdl.data.images import fit_picture
from fdl.data.kept import decoded_once
from fdl.data.own import Part, assemble
from fdl.data.parquet_columns import Columns, find_columns, open_parquet
from fdl.data.parquet_pages import Page, pages
from fdl.data.prepared_examples import PART_NAMES, drop_unused
from fdl.data.source import Source, Status
from fdl.plain import Fit
from fdl.untrusted import reason

_SMALL = 1 << 28  # bytes that a file may unpack to, whatever its size,
_EXPANSION = 10  # or so many times its size
_SMALL_ROWS = 100_000  # rows that a file may have, whatever its size,
_LEAST_ROW = 10  # or one for so many bytes
_BATCH = 16  # rows that are unpacked at a time


@dataclasses.dataclass(frozen=True)
class ParquetFolder(Source):
    """Parquet files with an image or a text, and a class, in each row.

    The part that a file belongs to is told by its name, as in
    `train-00000-of-00002.parquet`, or by that of its folder. An image is the bytes of a
    picture file, by itself or as the Hub stores it, `{bytes, path}`; sizes are unified
    as those of `folder:`. A class is a whole number or a name; where the files say what
    the numbers are called, these are the names.

    Attributes:
        name: The line that names it.
        path: The folder, or one file.
        size: Height and width of the images; None for the rule of `folder:`.
        channels: 1 for gray, 3 for color; None for gray if all images are.
        target: Column that is the class; None for the one called `label`, or the only
            one that can be.
        skip_bad: Leave out images that cannot be read.
        text: Column that is the text; None for the one called `text`, or the only one
            that can be, where there are no images.
        fit: How `fdl predict` brings photographs to the form of the images: `pad`,
            `crop`, or `digit` if they are framed as those of MNIST.
    """

    path: Path
    size: tuple[int, int] | None = None
    channels: int | None = None
    target: str | None = None
    skip_bad: bool = False
    text: str | None = None
    fit: Fit = "pad"

    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Decode all images, or take the texts as they are."""
        files = _files(self.path)
        found = find_columns(files["train"][0], self.target, self.text)
        read = lambda: {
            part: _rows(each, found.inputs, found.target)
            for part, each in files.items()
        }
        about: dict[str, Any] = {
            "name": self.name,
            "title": self.path.stem,
            "source": f"Parquet files in {self.path}",
            "like": self.like,
        }
        if not found.are_texts:
            size, channels = self.like_image(self.size, self.channels)
            parts, names, _ = decoded_once(
                self.path.stem,
                (size, channels, found, self.skip_bad),
                [file for each in files.values() for file in each],
                lambda: (*self._images(read(), found.names, size, channels), []),
            )
            return assemble(parts, class_names=names, fit=self.fit, **about)
        parts, names = _texts(self.path, read(), found)
        return assemble_documents(
            parts, class_names=names, column=found.inputs, **about
        )

    def _images(
        self,
        rows: "Mapping[str, list[_Row]]",
        names: tuple[str, ...] | None,
        size: tuple[int, int] | None,
        channels: int | None,
    ) -> tuple[dict[str, Part], tuple[str, ...] | None]:
        parts: dict[str, Part] = {}
        with pictures.strictly():
            size = size or common_size(
                [_size_of(row) for part in rows.values() for row in part]
            )
            for part, found in rows.items():
                pairs = [
                    (fit_picture(picture, size), row.target)
                    for row in found
                    if (picture := self._decode(row, channels)) is not None
                ]
                if not pairs:
                    raise DataError(f"{self.path}: the {part} part has no images")
                images, targets = zip(*pairs, strict=True)
                parts[part] = Part(np.stack(images), np.array(targets))
        if channels is None and all(
            (part.inputs == part.inputs[..., :1]).all() for part in parts.values()
        ):
            parts = {
                name: part._replace(inputs=np.ascontiguousarray(part.inputs[..., :1]))
                for name, part in parts.items()
            }
        return (parts, None) if names is None else drop_unused(parts, names)

    def _decode(self, row: "_Row", channels: int | None) -> pictures.Picture | None:
        """Return the picture of a row; None if it is damaged and may be left out."""
        try:
            return pictures.decode(row.content, channels or 3, row.where)
        except DataError:
            if self.skip_bad:
                return None
            raise

    def status(self, data_dir: Path | None) -> Status:
        """Read the numbers of rows."""
        title = self.path.stem
        try:
            count = {
                part: sum(open_parquet(file).metadata.num_rows for file in files)
                for part, files in _files(self.path).items()
            }
        except DataError as error:
            return Status(self.name, title, 0, 0, False, str(error))
        train = count["train"] + count.get("validation", 0)
        return Status(
            self.name, title, train, count.get("test", 0), True, str(self.path)
        )


def _files(path: Path) -> dict[str, list[Path]]:
    """Return the files of each part."""
    if path.is_file():
        return {"train": [path]}
    if not path.is_dir():
        raise DataError(f"{path}: there is no such file or folder of Parquet files")
    parts: dict[str, list[Path]] = {}
    every = sorted(path.rglob("*.parquet"))
    for file in every:
        for word in (*re.split(r"[-_.]", file.name), file.parent.name):
            if word in PART_NAMES:
                parts.setdefault(PART_NAMES[word], []).append(file)
                break
    if not parts:
        parts = {"train": every}
    if not parts.get("train"):
        raise DataError(
            f"{path}: has no Parquet files of a training part, such as "
            f"train-00000-of-00001.parquet, among {len(every)}"
        )
    return parts


def _texts(
    path: Path, rows: "Mapping[str, list[_Row]]", found: Columns
) -> tuple[dict[str, Part], tuple[str, ...] | None]:
    parts = {
        part: Part(
            [row.content for row in each],
            classes_of(path, found.target, [row.target for row in each]),
        )
        for part, each in rows.items()
    }
    return (parts, None) if found.names is None else drop_unused(parts, found.names)


class _Row(NamedTuple):
    """The bytes of an image, its class, and what to call it in messages."""

    content: bytes
    target: Any
    where: str


def _rows(files: list[Path], image: str, label: str) -> list[_Row]:
    found = []
    for file in files:
        for row, (content, target) in enumerate(_pairs(file, image, label)):
            content = content["bytes"] if isinstance(content, dict) else content
            if content is None or target is None:
                what = image if content is None else label
                raise DataError(f"{file}, row {row}: the column {what!r} is empty")
            found.append(_Row(content, target, f"{file}, row {row}"))
    return found


def _pairs(file: Path, image: str, label: str) -> Iterator[tuple[Any, Any]]:
    """Yield what is in two columns, as far as it is of the size of the file."""
    opened, size = open_parquet(file), file.stat().st_size
    most = max(_SMALL, _EXPANSION * size)
    try:
        rows = opened.metadata.num_rows
        if rows * _LEAST_ROW > max(_SMALL_ROWS * _LEAST_ROW, size):
            raise ValueError(f"it declares {rows:,} rows in {size:,} bytes")
        columns = [image, label]
        found = list(_pages(file, opened.metadata, columns))
        unpacked = sum(page.unpacked for page in found)
        if unpacked > most:
            raise ValueError(
                f"its images have {unpacked:,} bytes once unpacked, more than {most:,}"
            )
        # Any number of rows may refer to one value of a dictionary.
        values = max((page.unpacked for page in found if page.is_dictionary), default=0)
        batch = _BATCH if values < _SMALL // _BATCH else 1
        for rows in opened.iter_batches(batch, columns=columns, use_threads=False):
            table = rows.to_pydict()
            most -= sum(_length(each) for column in table.values() for each in column)
            if most < 0:
                raise ValueError("its rows repeat one image too often")
            yield from zip(table[image], table[label], strict=True)
    except Exception as error:
        raise DataError(f"{file} cannot be read as Parquet: {reason(error)}") from error


def _length(value: Any) -> int:
    content = value.get("bytes") if isinstance(value, dict) else value
    return len(content) if isinstance(content, bytes | str) else 0


def _pages(file: Path, metadata: Any, columns: Sequence[str]) -> Iterator[Page]:
    with file.open("rb") as opened:
        for group in range(metadata.num_row_groups):
            for number in range(metadata.num_columns):
                column = metadata.row_group(group).column(number)
                if column.path_in_schema.split(".")[0] in columns:
                    yield from pages(opened, column)


def _size_of(row: _Row) -> tuple[int, int] | None:
    try:
        return pictures.size_of(row.content, row.where)
    except DataError:
        return None  # decoding it will say what is wrong

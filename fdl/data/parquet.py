"""`hf:PATH`: images in Parquet files, as the Hugging Face Hub stores data sets."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fdl.arrays import DataError
from fdl.data import pictures
from fdl.data.dataset import Dataset
from fdl.data.decoding import common_size
from fdl.data.images import fit_picture
from fdl.data.own import Part, assemble
from fdl.data.parquet_pages import Page, pages
from fdl.data.prepared_source import PART_NAMES, drop_unused
from fdl.data.source import Source, Status
from fdl.untrusted import MOST_JSON, parse_json, reason

_MOST_COLUMNS = 100_000
_SMALL = 1 << 28  # bytes that a file may unpack to, whatever its size,
_EXPANSION = 10  # or so many times its size
_SMALL_ROWS = 100_000  # rows that a file may have, whatever its size,
_LEAST_ROW = 10  # or one for so many bytes
_BATCH = 16  # rows that are unpacked at a time


@dataclasses.dataclass(frozen=True)
class ParquetFolder(Source):
    """Parquet files with an image and a class in each row.

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
    """

    path: Path
    size: tuple[int, int] | None = None
    channels: int | None = None
    target: str | None = None
    skip_bad: bool = False

    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Decode all images."""
        files = _files(self.path)
        image, label, names = _columns(files["train"][0], self.target)
        rows = {part: _rows(each, image, label) for part, each in files.items()}
        parts: dict[str, Part] = {}
        with pictures.strictly():
            size = self.size or common_size(
                [_size_of(row) for part in rows.values() for row in part]
            )
            for part, found in rows.items():
                pairs = [
                    (fit_picture(picture, size), row.target)
                    for row in found
                    if (picture := self._decode(row)) is not None
                ]
                if not pairs:
                    raise DataError(f"{self.path}: the {part} part has no images")
                images, targets = zip(*pairs, strict=True)
                parts[part] = Part(np.stack(images), np.array(targets))
        if self.channels is None and all(
            (part.inputs == part.inputs[..., :1]).all() for part in parts.values()
        ):
            parts = {
                name: part._replace(inputs=np.ascontiguousarray(part.inputs[..., :1]))
                for name, part in parts.items()
            }
        if names is not None:
            parts, names = drop_unused(parts, names)
        return assemble(
            parts,
            name=self.name,
            title=self.path.stem,
            source=f"Parquet files in {self.path}",
            class_names=names,
        )

    def _decode(self, row: "_Row") -> pictures.Picture | None:
        """Return the picture of a row; None if it is damaged and may be left out."""
        try:
            return pictures.decode(row.content, self.channels or 3, row.where)
        except DataError:
            if self.skip_bad:
                return None
            raise

    def status(self, data_dir: Path | None) -> Status:
        """Read the numbers of rows."""
        title = self.path.stem
        try:
            count = {
                part: sum(_open(file).metadata.num_rows for file in files)
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


def _open(file: Path) -> Any:
    # Imported here: half a second, wanted only for such files.
    import pyarrow.parquet

    try:
        return pyarrow.parquet.ParquetFile(
            file,
            thrift_container_size_limit=_MOST_COLUMNS,
            thrift_string_size_limit=MOST_JSON,
        )
    except Exception as error:
        # A damaged file fails in many ways, all of which mean the same.
        raise DataError(f"{file} cannot be read as Parquet: {reason(error)}") from error


def _columns(file: Path, target: str | None) -> tuple[str, str, tuple[str, ...] | None]:
    """Return the names of the columns of images and classes, and of the classes."""
    import pyarrow.types as kinds

    schema = _open(file).schema_arrow
    is_bytes = lambda kind: kinds.is_binary(kind) or kinds.is_large_binary(kind)
    images, labels = [], []
    for field in schema:
        kind = field.type
        if kinds.is_struct(kind):
            inside = kind.get_field_index("bytes")
            kind = kind.field(inside).type if inside >= 0 else kind
        if is_bytes(kind):
            images.append(field.name)
        elif kinds.is_integer(kind) or kinds.is_string(kind) or kinds.is_boolean(kind):
            labels.append(field.name)
    listed = f"columns: {', '.join(f'{field.name} ({field.type})' for field in schema)}"
    if len(images) != 1:
        raise DataError(
            f"{file}: has {len(images) or 'no'} columns of images, and one is needed; "
            f"{listed}"
        )
    if target is None and len(labels) > 1:
        labels = [name for name in ("label", "labels", "class") if name in labels][:1]
    chosen = labels if target is None else [name for name in labels if name == target]
    if len(chosen) != 1:
        wanted = "the class" if target is None else f"target={target!r}"
        raise DataError(
            f"{file}: which column is {wanted}? Name one with whole numbers or names "
            f"as target (--target); {listed}"
        )
    return images[0], chosen[0], _class_names(schema.metadata, chosen[0])


def _class_names(
    metadata: dict[bytes, bytes] | None, label: str
) -> tuple[str, ...] | None:
    """Return what the Hub's description calls the classes, if it is there."""
    try:
        described = parse_json((metadata or {})[b"huggingface"])
        names = described["info"]["features"][label]["names"]
        return tuple(map(str, names))
    except (KeyError, ValueError, TypeError, RecursionError):
        return None


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
    opened, size = _open(file), file.stat().st_size
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

"""`hf:PATH`: images or texts in Parquet files, as the Hugging Face Hub stores them."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
from fdl.data.parquet_rows import Row, rows_of
from fdl.data.prepared_examples import PART_NAMES, drop_unused
from fdl.data.source import Source, Status
from fdl.plain import Fit


@dataclasses.dataclass(frozen=True)
class ParquetFolder(Source):
    """Parquet files with an image or a text, and a class, in each row.

    The name of a file, such as `train-00000-of-00002.parquet`, or that of its folder
    tells the part that it belongs to. An image is the bytes of a picture file, either
    plain or in the form of the Hub, `{bytes, path}`; sizes are unified as for
    `folder:`. A class is a whole number or a name; class names in the metadata of the
    files are used.

    Attributes:
        name: The line that names the source.
        path: The folder, or one file.
        size: Height and width of the images; None for the rule of `folder:`.
        channels: 1 for gray, 3 for color; None for gray if all images are.
        target: Column of classes; None for the one called `label`, or the only
            candidate.
        skip_bad: Leave out images that cannot be read.
        text: Column of texts; None for the one called `text`, or the only candidate, if
            there are no images.
        fit: How `fdl predict` fits photographs to the images: `pad`, `crop`, or `digit`
            if they are framed like those of MNIST.
    """

    path: Path
    size: tuple[int, int] | None = None
    channels: int | None = None
    target: str | None = None
    skip_bad: bool = False
    text: str | None = None
    fit: Fit = "pad"

    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Decode all images, or read the texts."""
        files = _files(self.path)
        found = find_columns(files["train"][0], self.target, self.text)
        read = lambda: {
            part: rows_of(each, found.inputs, found.target)
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
        rows: Mapping[str, list[Row]],
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
                    raise DataError(f"{self.path}: the {part} part has no images.")
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

    def _decode(self, row: Row, channels: int | None) -> pictures.Picture | None:
        """Return the picture of a row; None if it is damaged and `skip_bad` is set."""
        try:
            return pictures.decode(row.content, channels or 3, row.where)
        except DataError:
            if self.skip_bad:
                return None
            raise

    def status(self, data_dir: Path | None) -> Status:
        """Count the rows."""
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
        raise DataError(f"{path}: there is no such file or folder of Parquet files.")
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
            f"{path} has no Parquet files of a training part, such as "
            f"train-00000-of-00001.parquet, among {len(every)}."
        )
    return parts


def _texts(
    path: Path, rows: Mapping[str, list[Row]], found: Columns
) -> tuple[dict[str, Part], tuple[str, ...] | None]:
    parts = {
        part: Part(
            [row.content for row in each],
            classes_of(path, found.target, [row.target for row in each]),
        )
        for part, each in rows.items()
    }
    return (parts, None) if found.names is None else drop_unused(parts, found.names)


def _size_of(row: Row) -> tuple[int, int] | None:
    try:
        return pictures.size_of(row.content, row.where)
    except DataError:
        return None  # decoding it will report the error

"""`csv:FILE`: rows of numbers and categories, or texts, with a column to predict."""

import csv
import dataclasses
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
from jaxtyping import Float32

from fdl.arrays import DataError
from fdl.data.dataset import Dataset, DatasetInfo
from fdl.data.documents import assemble_documents
from fdl.data.image_arrays import read_array
from fdl.data.jsonl import read_text
from fdl.data.own import Part, assemble
from fdl.data.source import Source, Status
from fdl.data.splits import SHARE
from fdl.untrusted import reason, shortened

_MOST_CATEGORIES = 100  # in a column; more are taken for names of rows
_MOST_CLASSES = 20  # that are whole numbers; more are taken for numbers to predict
_DELIMITERS = (",", ";", "\t")
_MOST_BYTES = 1 << 27  # of a file; those of Fashion-MNIST fit
_MOST_CELLS = 50_000_000
_MOST_COLUMNS = 100_000
_MOST_KNOWN = 1_000_000  # distinct cells, each of which is stored once
_MOST_OTHERS = 8_000_000  # other cells, which take half a gigabyte
_LONGEST_LINE = 1 << 24  # characters


@dataclasses.dataclass(frozen=True)
class Table(Source):
    """A CSV file with a header line, and a row for each example.

    A column is numeric if more than half of its cells are numbers; otherwise it is
    categorical, and each category becomes a number, 1 or 0. The target is a class if it
    is categorical, or has at most 20 distinct whole numbers; otherwise it is a number.

    If a column of texts is named, the examples are its texts with their classes, and
    all other columns are ignored.

    Attributes:
        name: The line that names the source.
        path: The file; its cells are separated by commas, semicolons or tabs.
        target: Column to predict.
        text: Column of texts; None for a table of numbers and categories.
    """

    path: Path
    target: str | None = None
    text: str | None = None

    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Read the table."""
        cells = read_cells(self.path)
        names = list(cells)
        if self.target not in cells:
            said = f"has no column {self.target!r}" if self.target else "needs a target"
            raise DataError(
                f"{self.path} {said}: set --target to one of {', '.join(names)}."
            )
        target = cells.pop(self.target)
        if self.text is not None:
            return self._documents(cells, target)
        if not cells:
            raise DataError(f"{self.path} has no column besides {self.target!r}.")
        columns = [_column(self.path, name, found) for name, found in cells.items()]
        return assemble(
            {
                "train": Part(
                    np.concatenate([one.values for one in columns], axis=1),
                    _target(self.path, self.target, target, self.like),
                )
            },
            name=self.name,
            title=self.path.stem,
            source=f"file {self.path}",
            columns=tuple(name for one in columns for name in one.names),
            target=self.target,
            like=self.like,
        )

    def _documents(self, cells: dict[str, list[str]], target: list[str]) -> Dataset:
        if self.text not in cells:
            raise DataError(
                f"{self.path} has no column {self.text!r} besides the target: set "
                f"--text to one of {', '.join(cells)}."
            )
        return assemble_documents(
            {"train": Part(cells[self.text], _classes(target))},
            name=self.name,
            title=self.path.stem,
            source=f"file {self.path}",
            column=self.text,
            like=self.like,
        )

    def status(self, data_dir: Path | None) -> Status:
        """Count the rows."""
        try:
            count = len(next(iter(read_cells(self.path).values())))
        except DataError as error:
            return Status(self.name, self.path.stem, 0, 0, False, str(error))
        test = round(count * SHARE)
        where = str(self.path)
        return Status(self.name, self.path.stem, count - test, test, True, where)


class _Column(NamedTuple):
    """A column converted to numeric columns, and the names of these."""

    names: list[str]
    values: np.ndarray


def read_cells(path: Path) -> dict[str, list[str]]:
    """Return the cells of each column of a CSV file.

    Raises:
        DataError: If the file cannot be read, or is not such a table.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES:,} bytes: use .npz")
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = next(_lines(file), "")
            delimiter = max(_DELIMITERS, key=head.count)
            file.seek(0)
            return _columns_of(csv.reader(_lines(file), delimiter=delimiter))
    except UnicodeDecodeError:
        read_text(path)  # raises an error that names the line
        raise
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(
            f"{path} cannot be read as a table: {reason(error)}."
        ) from error


def _lines(file: TextIO) -> Iterator[str]:
    while line := file.readline(_LONGEST_LINE + 1):
        if len(line) > _LONGEST_LINE:
            raise ValueError(f"a line has more than {_LONGEST_LINE:,} characters")
        yield line


def _columns_of(rows: Iterator[list[str]]) -> dict[str, list[str]]:
    """Return the cells of each column; the first row has the names."""
    names = [name.strip() for name in next((row for row in rows if row), [])]
    if len(names) > _MOST_COLUMNS:
        raise ValueError(f"it has {len(names):,} columns, more than {_MOST_COLUMNS:,}")
    for name, count in Counter(names).items():
        if count > 1 or not name:
            raise ValueError(
                f"the column {shortened(name)!r} occurs more than once, or has no name"
            )
    columns: list[list[str]] = [[] for _ in names]
    known = _Interned()
    number = 0
    for number, row in enumerate((row for row in rows if row), start=1):
        if len(row) != len(names):
            raise ValueError(
                f"row {number} has {len(row)} cells, but the header has {len(names)}"
            )
        if number * len(names) > _MOST_CELLS:
            raise ValueError(f"it has more than {_MOST_CELLS:,} cells: use .npz")
        for column, cell in zip(columns, row, strict=True):
            column.append(known[cell.strip()])
    if not number:
        raise ValueError("it has no rows below a header")
    return dict(zip(names, columns, strict=True))


class _Interned(dict[str, str]):
    """Stores equal cells as one object, since a text takes 50 bytes."""

    others = 0

    def __missing__(self, cell: str) -> str:
        if len(self) < _MOST_KNOWN:
            self[cell] = cell
        else:
            self.others += 1
            if self.others > _MOST_OTHERS:
                most = _MOST_KNOWN + _MOST_OTHERS
                raise ValueError(f"it has more than {most:,} different cells: use .npz")
        return cell


def read_rows(path: Path | str, info: DatasetInfo) -> Float32[np.ndarray, "rows _"]:
    r"""Read the rows of a CSV file as inputs for a model trained on a table.

    Columns that are not inputs of the table, such as the target, are ignored. If the
    columns have no names, as with `npz:`, rows are read from an `.npy` or `.npz` file.

    Args:
        path: The file.
        info: Description of the table.

    Raises:
        DataError: If a column is missing, or a cell is not a number, or is a category
            that the table lacks.

    Example:
        >>> import tempfile, fdl.data
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "pets.csv"
        ...     _ = file.write_text("legs,kind\n4,cat\n4,cat\n2,owl\n2,owl\n")
        ...     info = fdl.data.load(f"csv:{file}?target=kind", validation=None).info
        ...     _ = file.write_text("legs\n3\n")
        ...     read_rows(file, info)
        array([[3.]], dtype=float32)
    """
    path = Path(path)
    if path.suffix in (".npy", ".npz"):
        return _array_rows(path, info)
    cells = read_cells(path)
    if not info.columns:
        raise DataError(
            f"{path}: the columns of {info.title} have no names, so a table cannot be "
            "matched to them: give an .npy file."
        )
    rows: list[np.ndarray] = []
    known: dict[str, list[str]] = {}
    for feature in info.columns:
        if feature in cells:
            rows.append(_required_numbers(path, feature, cells[feature]))
            continue
        name = next((name for name in cells if feature.startswith(f"{name}=")), None)
        if name is None:
            raise DataError(
                f"{path} has no column for {feature!r}; columns: {', '.join(cells)}."
            )
        category = feature[len(name) + 1 :]
        known.setdefault(name, []).append(category)
        rows.append(np.array([cell == category for cell in cells[name]], np.float32))
    for name, categories in known.items():
        for row, cell in enumerate(cells[name], start=1):
            if cell not in categories:
                raise DataError(
                    f"{path}: row {row} of column {name!r} is {cell!r}, which "
                    f"{info.title} lacks: {', '.join(categories)}."
                )
    return np.stack(rows, axis=1)


def _array_rows(path: Path, info: DatasetInfo) -> Float32[np.ndarray, "rows _"]:
    found = read_array(path)
    if (
        found.ndim != 2
        or found.shape[1:] != info.input_shape
        or found.dtype.kind in "cV"
    ):
        raise DataError(
            f"{path} holds {found.dtype}{list(found.shape)}: expected rows of "
            f"{info.input_shape[0]} numbers, as in {info.title}."
        )
    return found.astype(np.float32)


def _required_numbers(path: Path, name: str, cells: list[str]) -> np.ndarray:
    for row, cell in enumerate(cells, start=1):
        if _number(cell) is None:
            raise DataError(
                f"{path}: row {row} of column {name!r} is {cell!r}, not a number."
            )
    return np.array(cells, np.float32)


def _column(path: Path, name: str, cells: list[str]) -> _Column:
    numbers = _numbers(path, name, cells)
    if numbers is not None:
        return _Column([name], numbers[:, None].astype(np.float32))
    categories = sorted(set(cells))
    if len(categories) > _MOST_CATEGORIES:
        raise DataError(
            f"{path}: the column {name!r} has {len(categories)} different values, more "
            f"than {_MOST_CATEGORIES}: leave it out, or make them numbers; if they are "
            f"texts to classify, name it with --text."
        )
    values = np.array(cells)[:, None] == np.array(categories)
    names = [f"{name}={category}" for category in categories]
    return _Column(names, values.astype(np.float32))


def _classes(cells: list[str]) -> np.ndarray:
    """Return cells as whole numbers if all are, else as names."""
    try:
        return np.array([int(cell) for cell in cells])
    except ValueError:
        return np.array(cells)


def _target(
    path: Path, name: str, cells: list[str], like: DatasetInfo | None
) -> np.ndarray:
    numbers = _numbers(path, name, cells)
    if numbers is None:
        return np.array(cells)
    whole = numbers == np.rint(numbers)
    if like is not None and like.kind == "number":
        return numbers.astype(np.float32)
    if whole.all() and len(np.unique(numbers)) <= _MOST_CLASSES:
        return numbers.astype(np.int64)
    return numbers.astype(np.float32)


def _numbers(path: Path, name: str, cells: list[str]) -> np.ndarray | None:
    """Return a column of numbers; None for categories."""
    found = [_number(cell) for cell in cells]
    bad = [row for row, number in enumerate(found, start=1) if number is None]
    if len(bad) * 2 >= len(cells):
        empty = [row for row, cell in enumerate(cells, start=1) if not cell]
        if not empty:
            return None
        bad = empty
    if bad:
        others = f" ({len(bad)} such cells)" if len(bad) > 1 else ""
        raise DataError(
            f"{path}: row {bad[0]} of column {name!r} is {cells[bad[0] - 1]!r}, not a "
            f"number{others}: correct or remove it."
        )
    return np.array(found, np.float64)


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None

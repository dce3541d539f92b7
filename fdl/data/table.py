"""`csv:FILE`: rows of numbers and categories, one column of which is to be told."""

import csv
import dataclasses
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from fdl.arrays import DataError
from fdl.data.dataset import Dataset, DatasetInfo
from fdl.data.own import Part, assemble
from fdl.data.source import Source, Status
from fdl.data.splits import SHARE

_TARGETS = ("target", "label", "class", "y")
_MOST_CLASSES = 20  # different whole numbers that are classes rather than amounts

Features = Float32[np.ndarray, "rows features"]


@dataclasses.dataclass(frozen=True)
class Table(Source):
    """A CSV file, whose first line names the columns.

    Commas, semicolons or tabs part the cells. A column of numbers is a feature; one of
    words becomes a feature for each of its values, 1 where a row has it and 0
    elsewhere. A column of words with more values than half of the rows, such as names,
    is passed over. Whole numbers of at most 20 different values, or words, in the
    target are classes; other numbers are values to predict.

    Attributes:
        name: The line that names it.
        path: The file.
        target: Column that is to be told; None for the one that is called `target`,
            `label`, `class` or `y`.
    """

    path: Path
    target: str | None = None

    def load(self, data_dir: Path | None, *, download: bool) -> Dataset:
        """Read all rows."""
        cells = read_cells(self.path)
        target = _target(cells, self.path, self.target)
        columns, passed_over = {}, []
        for name in cells.columns:
            if name == target:
                continue
            found = _encoded(cells, self.path, name)
            if found is None:
                passed_over.append(name)
            else:
                columns |= found
        features = list(columns.values())
        if not features:
            raise DataError(
                f"{self.path}: has no column besides {target!r} to tell it from"
            )
        source = f"file {self.path}, target {target}"
        if passed_over:
            source += f"; passed over, words of too many values: {passed_over}"
        inputs, targets = np.stack(features, axis=1), _targets(cells, self.path, target)
        return assemble(
            {"train": Part(inputs, targets)},
            name=self.name,
            title=self.path.stem,
            source=source,
            columns=tuple(columns),
        )

    def status(self, data_dir: Path | None) -> Status:
        """Count the rows."""
        title = self.path.stem
        try:
            count = len(read_cells(self.path).lines)
        except DataError as error:
            return Status(self.name, title, 0, 0, False, str(error))
        test = round(count * SHARE)
        return Status(self.name, title, count - test, test, True, str(self.path))


class Cells(NamedTuple):
    """The cells of a file by column, and the line that each row stands in."""

    columns: Mapping[str, list[str]]
    lines: list[int]


def read_cells(path: Path) -> Cells:
    """Return the cells of a CSV file, without blanks around them.

    Raises:
        DataError: If it is no such file, or a row or a cell is missing.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline()
            file.seek(0)
            mark = max(",;\t", key=head.count)
            reader = csv.reader(file, delimiter=mark, strict=True)
            rows = [(reader.line_num, row) for row in reader if any(row)]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as CSV in UTF-8: {error}") from error
    if len(rows) < 2:
        raise DataError(f"{path} has no rows below a line with the names of columns")
    (_, head), *rows = rows
    names = [name.strip() for name in head]
    _require_names(path, names)
    for line, row in rows:
        if len(row) != len(names):
            raise DataError(
                f"{path}, line {line}: has {len(row)} cells, but there are "
                f"{len(names)} columns"
            )
        if not all(cell.strip() for cell in row):
            name = next(n for n, c in zip(names, row, strict=True) if not c.strip())
            raise DataError(
                f"{path}, line {line}: the cell of column {name!r} is empty: fill it "
                "in, or remove the line or the column"
            )
    columns = {
        name: [row[number].strip() for _, row in rows]
        for number, name in enumerate(names)
    }
    return Cells(columns, [line for line, _ in rows])


def read_rows(path: Path | str, info: DatasetInfo) -> Features:
    """Read the features of a CSV file as those of a data set that comes from another.

    The target's column, and others that the data set does not have, are passed over.

    Args:
        path: The file; its first line names the columns.
        info: The data set.

    Raises:
        DataError: If a column is missing, or a cell is no number, or is a word that the
            data set does not have.
    """
    path = Path(path)
    cells = read_cells(path)
    features, words = [], {}
    for feature in info.columns:
        if feature in cells.columns:
            features.append(_numbers(cells, path, feature))
            continue
        name = next(
            (name for name in cells.columns if feature.startswith(f"{name}=")), None
        )
        if name is None:
            raise DataError(
                f"{path} has no column for the feature {feature!r}; columns: "
                f"{', '.join(cells.columns)}"
            )
        value = feature[len(name) + 1 :]
        words.setdefault(name, []).append(value)
        features.append(_is(cells.columns[name], value))
    for name, known in words.items():
        for line, cell in zip(cells.lines, cells.columns[name], strict=True):
            if cell not in known:
                raise DataError(
                    f"{path}, line {line}: column {name!r} has {cell!r}, which the "
                    f"training data have not: {', '.join(known)}"
                )
    return np.stack(features, axis=1)


def _require_names(path: Path, names: list[str]) -> None:
    if all(_number(name) is not None for name in names):
        raise DataError(
            f"{path}: its first line holds numbers ({', '.join(names[:3])}, ...): put "
            "a line with the names of the columns above it"
        )
    for number, name in enumerate(names, start=1):
        if not name or name in names[: number - 1]:
            what = f"another {name!r}" if name else "without a name"
            raise DataError(f"{path}: column {number} is {what}: name it in line 1")


def _target(cells: Cells, path: Path, target: str | None) -> str:
    known = ", ".join(cells.columns)
    if target is None:
        usual = [name for name in cells.columns if name.lower() in _TARGETS]
        if len(usual) != 1:
            raise DataError(
                f"{path}: which column is to be told? Name it as target (--target); "
                f"columns: {known}"
            )
        return usual[0]
    if target not in cells.columns:
        raise DataError(f"{path} has no column {target!r}; columns: {known}")
    return target


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) and "_" not in cell else None


def _is_numeric(column: Iterable[str]) -> bool:
    """Return whether a column is one of numbers; some cells may be faults."""
    good = [_number(cell) is not None for cell in column]
    return sum(good) > len(good) / 2


def _numbers(cells: Cells, path: Path, name: str) -> np.ndarray:
    numbers = [_number(cell) for cell in cells.columns[name]]
    for line, cell, number in zip(
        cells.lines, cells.columns[name], numbers, strict=True
    ):
        if number is None:
            raise DataError(
                f"{path}, line {line}: column {name!r} has {cell!r}, which is no "
                "finite number, as most of its cells are"
            )
    return np.array(numbers, np.float32)


def _is(column: list[str], value: str) -> np.ndarray:
    return np.array([cell == value for cell in column], np.float32)


def _encoded(cells: Cells, path: Path, name: str) -> dict[str, np.ndarray] | None:
    """Return the features of a column by name; None for words of too many values."""
    column = cells.columns[name]
    if _is_numeric(column):
        return {name: _numbers(cells, path, name)}
    values = sorted(set(column))
    if len(values) > len(column) / 2:
        return None
    return {f"{name}={value}": _is(column, value) for value in values}


def _targets(cells: Cells, path: Path, name: str) -> np.ndarray:
    column = cells.columns[name]
    if not _is_numeric(column):
        return np.array(column)
    numbers = _numbers(cells, path, name)
    whole = all(cell.lstrip("+-").isdecimal() for cell in column)
    if whole and len(set(column)) <= _MOST_CLASSES:
        return numbers.astype(np.int64)
    return numbers

"""Rows of Parquet files, read within limits that follow from the sizes of the files."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fdl.arrays import DataError
from fdl.data.parquet_columns import open_parquet
from fdl.data.parquet_pages import Page, pages
from fdl.untrusted import reason

_SMALL = 1 << 28  # bytes to which any file may unpack,
_EXPANSION = 10  # or this many times its size
_SMALL_ROWS = 100_000  # rows that any file may have,
_LEAST_ROW = 10  # or one for this many bytes
_BATCH = 16  # rows to unpack at a time


class Row(NamedTuple):
    """A row.

    Attributes:
        content: The bytes of an image, or a text.
        target: Its class.
        where: Its name in messages.
    """

    content: Any
    target: Any
    where: str


def rows_of(files: Sequence[Path], inputs: str, target: str) -> list[Row]:
    """Return the rows of files.

    Args:
        files: The files.
        inputs: Column of images or texts.
        target: Column of classes.

    Raises:
        DataError: If a file cannot be read, unpacks to much more than its size, or
            lacks a value.
    """
    found = []
    for file in files:
        for row, (content, chosen) in enumerate(_pairs(file, inputs, target)):
            content = content["bytes"] if isinstance(content, dict) else content
            if content is None or chosen is None:
                what = inputs if content is None else target
                raise DataError(f"{file}, row {row}: the column {what!r} is empty.")
            found.append(Row(content, chosen, f"{file}, row {row}"))
    return found


def _pairs(file: Path, inputs: str, target: str) -> Iterator[tuple[Any, Any]]:
    """Yield the values of two columns, within limits set by the size of the file."""
    opened, size = open_parquet(file), file.stat().st_size
    most = max(_SMALL, _EXPANSION * size)
    try:
        rows = opened.metadata.num_rows
        if rows * _LEAST_ROW > max(_SMALL_ROWS * _LEAST_ROW, size):
            raise ValueError(f"it declares {rows:,} rows in {size:,} bytes")
        columns = [inputs, target]
        found = list(_pages(file, opened.metadata, columns))
        unpacked = sum(page.unpacked for page in found)
        if unpacked > most:
            raise ValueError(
                f"its columns have {unpacked:,} bytes once unpacked, more than {most:,}"
            )
        # Any number of rows may refer to one value of a dictionary.
        values = max((page.unpacked for page in found if page.is_dictionary), default=0)
        batch = _BATCH if values < _SMALL // _BATCH else 1
        for rows in opened.iter_batches(batch, columns=columns, use_threads=False):
            table = rows.to_pydict()
            most -= sum(_length(each) for column in table.values() for each in column)
            if most < 0:
                raise ValueError("its rows repeat one value too often")
            yield from zip(table[inputs], table[target], strict=True)
    except Exception as error:
        raise DataError(
            f"{file} cannot be read as Parquet: {reason(error)}."
        ) from error


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

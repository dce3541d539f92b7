"""`fdl runs`."""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from rich.cells import cell_len
from rich.text import Text

from fdl.cli.command import Command, OptionalName, out, unset
from fdl.files import json_text
from fdl.runs.listing import Listed, find_runs
from fdl.runs.words import shown
from fdl.untrusted import visible


@dataclasses.dataclass(frozen=True)
class Runs(Command):
    """List runs and sweeps: task, data, result and status.

    The measure is that of the test set or, until a run is done, that of the validation
    set so far.

    Attributes:
        folder: Folder to search, including its subfolders.
        task: List only those of this task.
        dataset: List only those on this data set.
        sort: Sort by `when` they began, newest last, or by `metric`, best first.
        json: Print a JSON array instead of a table.
    """

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")] = (
        Path("runs")
    )
    task: Annotated[OptionalName, unset("default: all")] = None
    dataset: Annotated[OptionalName, unset("default: all")] = None
    sort: Literal["when", "metric"] = "when"
    json: bool = False

    light: ClassVar[bool] = True

    def __call__(self) -> None:
        """Print the table."""
        found = [
            one
            for one in find_runs(self.folder)
            if self.task in (None, one.task) and self.dataset in (None, one.dataset)
        ]
        if self.sort == "metric":
            found.sort(key=_best_first)
        if self.json:
            rows = [
                one._asdict() | {"path": str(one.path), "when": one.when.isoformat()}
                for one in found
            ]
            print(json_text(rows, indent=1))
            return
        if not found:
            out.print(f"there are no such runs in {self.folder}.")
            return
        for number, line in enumerate(_aligned([_HEAD, *map(_row, found)], out.width)):
            out.print(line, soft_wrap=True, style=None if number else "bold")


_HEAD = ("task", "data", "measure", "epochs", "status", "began", "where")
_DATA = _HEAD.index("data")
_LEAST = 8  # columns of the name of data


def _row(one: Listed) -> tuple[str, ...]:
    value = "" if one.value is None else f"{one.metric} {shown(one.metric, one.value)}"
    when = f"{one.when:%Y-%m-%d %H:%M}"
    cells = one.task, one.dataset, value, one.epochs, one.status, when, one.path
    return tuple(visible(str(cell)) for cell in cells)


def _aligned(rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Yield rows with aligned cells, but for the last, a path: it is never broken.

    Names of data are shortened if that makes the rows fit.

    Example:
        >>> list(_aligned([("mlp", "mnist-fold-17", "runs/a"), ("cnn", "", "b")], 22))
        ['mlp  mnist-fo…  runs/a', 'cnn             b']
    """
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    above = sum(widths) + 2 * (len(widths) - 1) - width
    if above > 0:
        widths[_DATA] = max(min(_LEAST, widths[_DATA]), widths[_DATA] - above)
    for row in rows:
        cells = [Text(cell) for cell in row[:-1]]
        for cell, size in zip(cells, widths[:-1], strict=True):
            cell.truncate(size, overflow="ellipsis", pad=True)
        yield "  ".join([*(cell.plain for cell in cells), row[-1]])


def _best_first(one: Listed) -> tuple[str, float]:
    """Return a key that sorts best first, with runs of the same metric together."""
    if one.value is None or math.isnan(one.value):
        return one.metric, math.inf
    return one.metric, one.value if one.mode == "min" else -one.value

"""`fdl runs`."""

import dataclasses
import math
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from rich.table import Table

from fdl.cli.command import Command, OptionalName, out, unset
from fdl.files import json_text
from fdl.runs.listing import Listed, find_runs
from fdl.runs.words import shown


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
        table = Table("task", "data", box=None, padding=(0, 2, 0, 0))
        for name in ("measure", "epochs", "status", "began"):
            table.add_column(name, no_wrap=True)
        table.add_column("where", overflow="fold")
        for one in found:
            value = "" if one.value is None else shown(one.metric, one.value)
            table.add_row(
                one.task,
                one.dataset,
                f"{one.metric} {value}" if value else "",
                str(one.epochs),
                one.status,
                f"{one.when:%Y-%m-%d %H:%M}",
                str(one.path),
            )
        out.print(table if found else f"there are no such runs in {self.folder}.")


def _best_first(one: Listed) -> tuple[str, float]:
    """Return a key that sorts best first, with runs of the same metric together."""
    if one.value is None or math.isnan(one.value):
        return one.metric, math.inf
    return one.metric, one.value if one.mode == "min" else -one.value

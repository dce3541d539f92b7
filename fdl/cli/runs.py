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
    """List runs and sweeps: what was trained on what, and how good it is.

    The measure is that of the test set; of a run that is not done, that of the
    validation part so far.

    Attributes:
        folder: Where to look, in the folders in it, too.
        task: List those of this task only.
        dataset: List those on this data set only.
        sort: By `when` they began, the newest last, or by `metric`, the best first.
        json: Print a JSON array instead of a table.
    """

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")] = (
        Path("runs")
    )
    task: Annotated[OptionalName, unset("all if not given")] = None
    dataset: Annotated[OptionalName, unset("all if not given")] = None
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
    """Return what sorts by metric; runs of the same metric are together."""
    if one.value is None or math.isnan(one.value):
        return one.metric, math.inf
    return one.metric, one.value if one.mode == "min" else -one.value

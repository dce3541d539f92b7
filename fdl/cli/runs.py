"""`fdl runs`."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from rich.table import Table

from fdl.cli.command import Command, out
from fdl.runs.listing import find_runs
from fdl.runs.words import shown


@dataclasses.dataclass(frozen=True)
class Runs(Command):
    """List runs and sweeps: what was trained on what, and how good it is.

    The measure is that of the test set; of a run that is not done, that of the
    validation part so far.

    Attributes:
        folder: Where to look, in the folders in it, too.
        json: Print a JSON array instead of a table.
    """

    folder: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")] = (
        Path("runs")
    )
    json: bool = False

    light: ClassVar[bool] = True

    def __call__(self) -> None:
        """Print the table."""
        found = find_runs(self.folder)
        if self.json:
            rows = [
                one._asdict() | {"path": str(one.path), "when": one.when.isoformat()}
                for one in found
            ]
            print(json.dumps(rows, indent=1))
            return
        table = Table("task", "data", "measure", "epochs", "status", "began")
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
        out.print(table if found else f"there are no runs in {self.folder}.")

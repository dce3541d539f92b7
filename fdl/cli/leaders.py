"""The board of a sweep: its leaders so far, and how long the rest will take."""

from rich.console import Group
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from fdl.cli.command import brief, err, shown
from fdl.tasks.parts import Row
from fdl.tasks.sweep import Sweep

_LEADERS = 10


class Board:
    """The leaders so far, and how long the rest will take, on standard error."""

    def __init__(self, sweep: Sweep, halving: bool) -> None:
        """Describe the sweep; the board appears on entering the context."""
        self._sweep, self._rows = sweep, dict(sweep.rows)
        self._progress = Progress(
            TextColumn("epochs of members"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=err,
        )
        total = None if halving else sum(config.epochs for config in sweep.configs)
        self._bar = self._progress.add_task("", total=total, completed=len(self._rows))
        self._live = Live(console=err, refresh_per_second=2, get_renderable=self._show)

    def __enter__(self) -> "Board":
        """Show it."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave it as it is."""
        self._live.stop()

    def add(self, rows: list[Row]) -> None:
        """Take note of an epoch of some members."""
        self._rows |= {(row["member"], row["epoch"]): row for row in rows}
        self._progress.update(self._bar, completed=len(self._rows))

    def _show(self) -> Group:
        name, rank = self._sweep.measure, self._sweep.rank
        last: dict[int, Row] = {}
        for (member, epoch), row in list(self._rows.items()):
            if name in row and epoch > last.get(member, {"epoch": 0})["epoch"]:
                last[member] = row
        leaders = sorted(last.values(), key=lambda row: rank(row[name]))[:_LEADERS]
        varied = self._sweep.varied
        heads = [name.replace("_", " ") for name in varied]
        table = Table("member", "seed", *heads, "epoch", self._sweep.task.metric)
        for row in leaders:
            table.add_row(
                str(row["member"]),
                str(row["seed"]),
                *(brief(row[name]) for name in varied),
                str(row["epoch"]),
                shown(self._sweep.task.metric, row[name]),
            )
        return Group(table, self._progress) if leaders else Group(self._progress)

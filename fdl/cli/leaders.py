"""The board of a sweep: its leaders so far, and the remaining time."""

from collections.abc import Iterable

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

from fdl.cli.command import err
from fdl.cli.progress import Voice
from fdl.runs.members import Members
from fdl.runs.outcomes import column, order
from fdl.runs.part import Row
from fdl.runs.words import brief, shown

_LEADERS = 10


class Board:
    """The leaders so far and the remaining time, on standard error.

    Without a terminal, a line for each epoch of a group of members takes its place.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        """Make the board; it appears when training begins.

        Args:
            quiet: Whether to show nothing.
        """
        self._members: Members | None = None
        self._rows: dict[tuple[int, int], Row] = {}
        self._progress = Progress(
            TextColumn("member epochs"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=err,
        )
        self._voice = Voice(self._so_far, quiet=quiet)
        self._live = Live(console=err, refresh_per_second=2, get_renderable=self._show)

    def __enter__(self) -> "Board":
        """Return the board."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop updating; what is on the screen stays."""
        self._voice.stop()
        if self._live.is_started:
            self._live.stop()

    def on_start(self, members: Members) -> None:
        """Show the board, with the epochs that are known already."""
        self._members, self._rows = members, dict(members.rows)
        self._bar = self._progress.add_task(
            "", total=members.epochs, completed=len(self._rows)
        )
        config, folder = members.configs[0], members.folder
        self._voice.say(
            f"{folder}: {config.task} on {members.dataset.info.name}, "
            f"{len(members.configs):,} members"
            + (f", {self._so_far()}" if self._rows else "")
        )
        self._voice.start()
        if err.is_terminal and not self._voice.quiet:
            self._live.start()

    def on_rows(self, rows: list[Row]) -> None:
        """Record an epoch of a group of members."""
        self._rows |= {(row["member"], row["epoch"]): row for row in rows}
        self._progress.update(self._bar, completed=len(self._rows))
        if not self._live.is_started:
            self._voice.say(self._line(rows))

    def resume_command(self) -> str | None:
        """Return the command that resumes; None while nothing is saved."""
        members = self._members
        return None if members is None else f"fdl sweep --run {members.folder}"

    def _so_far(self) -> str:
        every = self._members.epochs if self._members else None
        of_all = "" if every is None else f" of {every:,}"
        return f"{len(self._rows):,}{of_all} member epochs"

    def _line(self, rows: list[Row]) -> str:
        """Describe an epoch of a group of members in one line."""
        first, last = rows[0]["member"], rows[-1]["member"]
        who = f"member {first}" if len(rows) == 1 else f"members {first} to {last}"
        line = f"epoch {rows[0]['epoch']} of {who}  {self._so_far()}"
        for row in self._leaders(rows)[:1]:
            assert self._members is not None
            metric = self._members.task.metric
            value = shown(metric, row[column(metric)])
            line += f"  best validation {metric} {value}"
        return line

    def _leaders(self, rows: Iterable[Row]) -> list[Row]:
        """Return the rows of finite, measured members, best first."""
        assert self._members is not None
        task = self._members.task
        name = column(task.metric)
        # The row of a diverged member has no measures.
        good = [row for row in rows if row["diverged"] < 0 and name in row]
        return sorted(good, key=lambda row: order(row[name], task.mode))

    def _show(self) -> Group:
        if self._members is None:
            return Group(self._progress)
        task, varied = self._members.task, self._members.varied
        last: dict[int, Row] = {}
        for (member, epoch), row in list(self._rows.items()):
            if epoch > last.get(member, {"epoch": 0})["epoch"]:
                last[member] = row
        leaders = self._leaders(last.values())[:_LEADERS]
        heads = [name.replace("_", " ") for name in varied]
        table = Table("member", "seed", *heads, "epoch", f"validation {task.metric}")
        for row in leaders:
            table.add_row(
                str(row["member"]),
                str(row["seed"]),
                *(brief(row[name]) for name in varied),
                str(row["epoch"]),
                shown(task.metric, row[column(task.metric)]),
            )
        return Group(table, self._progress) if leaders else Group(self._progress)

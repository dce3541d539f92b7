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

from fdl.cli.command import err
from fdl.cli.progress import Voice
from fdl.runs.members import Members
from fdl.runs.outcomes import column, order
from fdl.runs.parts import Row
from fdl.runs.words import brief, shown

_LEADERS = 10


class Board:
    """The leaders so far, and how long the rest will take, on standard error."""

    def __init__(self, halving: bool, *, quiet: bool = False) -> None:
        """Make the board; it appears when training begins.

        Args:
            halving: Whether members are stopped early, so that the number of epochs is
                not known beforehand.
            quiet: Whether to show nothing.
        """
        self._halving = halving
        self._members: Members | None = None
        self._rows: dict[tuple[int, int], Row] = {}
        self._progress = Progress(
            TextColumn("epochs of members"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=err,
        )
        self._voice = Voice(self._so_far, quiet=quiet)
        self._live = Live(console=err, refresh_per_second=2, get_renderable=self._show)

    def __enter__(self) -> "Board":
        """Begin to watch."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave it as it is."""
        self._voice.stop()
        self._live.stop()

    def on_start(self, members: Members) -> None:
        """Show the board, with what is known already."""
        self._members, self._rows = members, dict(members.rows)
        every = sum(config.epochs for config in members.configs)
        self._bar = self._progress.add_task(
            "", total=None if self._halving else every, completed=len(self._rows)
        )
        config, folder = members.configs[0], members.folder
        self._voice.say(
            f"{folder}: {config.task} on {members.dataset.info.name}, "
            f"{len(members.configs):,} members"
        )
        self._voice.start()
        if not self._voice.quiet:
            self._live.start()

    def on_rows(self, rows: list[Row]) -> None:
        """Take note of an epoch of some members."""
        self._rows |= {(row["member"], row["epoch"]): row for row in rows}
        self._progress.update(self._bar, completed=len(self._rows))

    def how_to_go_on(self) -> str:
        """Return what to do after an interruption."""
        if self._members is None:
            return "interrupted before training began; nothing is kept."
        folder = self._members.folder
        return f"interrupted; to go on, repeat the command with --run {folder}"

    def _so_far(self) -> str:
        return f"{len(self._rows):,} epochs of members"

    def _show(self) -> Group:
        if self._members is None:
            return Group(self._progress)
        task, varied = self._members.task, self._members.varied
        name = column(task.metric)
        last: dict[int, Row] = {}
        for (member, epoch), row in list(self._rows.items()):
            if epoch > last.get(member, {"epoch": 0})["epoch"]:
                last[member] = row
        # The row of a member that has diverged has no measures.
        good = [row for row in last.values() if row["diverged"] < 0 and name in row]
        leaders = sorted(good, key=lambda row: order(row[name], task.mode))[:_LEADERS]
        heads = [name.replace("_", " ") for name in varied]
        table = Table("member", "seed", *heads, "epoch", f"validation {task.metric}")
        for row in leaders:
            table.add_row(
                str(row["member"]),
                str(row["seed"]),
                *(brief(row[name]) for name in varied),
                str(row["epoch"]),
                shown(task.metric, row[name]),
            )
        return Group(table, self._progress) if leaders else Group(self._progress)

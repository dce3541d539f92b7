"""`fdl sweep`."""

import dataclasses
from typing import Annotated, Any

import tyro
from rich.table import Table

from fdl import runs
from fdl.cli.command import OptionalInt, OptionalPath, out
from fdl.cli.grids import read_grid, read_ranges
from fdl.cli.leaders import Board
from fdl.cli.task_command import ToTrain, for_each_task
from fdl.members import Strategy
from fdl.runs.sweep_report import cells

_SHOWN = 10

Words = Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUES")]


@dataclasses.dataclass(frozen=True)
class SweepCommand(ToTrain):
    """Train a task over seeds and settings at once; keep a table and pictures of it.

    An interrupted sweep goes on when the same command names its folder with `--run`.

    Attributes:
        seeds: Number of seeds of each configuration, counting up from `--seed`.
        grid: Values of a setting, such as `learning-rate=1e-4,3e-4,1e-3`; with several
            settings, every combination is trained.
        random: Range of a setting to draw from, such as `learning-rate=log:1e-4:1e-2`
            or `dropout-rate=lin:0:0.5`.
        samples: Draws from the ranges.
        halving: Train all configurations for a few epochs, the best third for three
            times as many, and so on.
        strategy: How members become a program; chosen if not given.
        members_per_chunk: Members trained at a time; chosen if not given.
        run: Folder of the sweep; a new one below `runs` if not given.
    """

    seeds: int = 1
    grid: Words = ()
    random: Words = ()
    samples: int = 1
    halving: bool = False
    strategy: Strategy | None = None
    members_per_chunk: OptionalInt = None
    run: OptionalPath = None

    def __call__(self) -> None:
        """Sweep."""
        config = self.config()
        with Board(self.halving) as board:
            found = runs.sweep(
                self.task,
                **self.settings(),
                model=self.model,
                grid=read_grid(config, self.grid),
                ranges=read_ranges(config, self.random),
                samples=self.samples,
                seeds=self.seeds,
                halving=self.halving,
                strategy=self.strategy,
                members_per_chunk=self.members_per_chunk,
                path=self.run,
                data_dir=self.data_dir,
                on_start=board.on_start,
                on_rows=board.on_rows,
            )
        lines = [cells(found, outcome) for outcome in found.outcomes[:_SHOWN]]
        table = Table(*dict.fromkeys(name for line in lines for name in line))
        for line in lines:
            table.add_row(*line.values())
        out.print(table)
        out.print(f"sweep folder  {found.path}", soft_wrap=True)
        out.print(f"report        {found.path / 'report.html'}", soft_wrap=True)


def commands(own: str | None) -> Any:
    """Return `fdl sweep TASK` for each task, or a command for one of the user's."""
    return for_each_task(SweepCommand, "Sweep over the {}.", own)

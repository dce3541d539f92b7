"""`fdl sweep`."""

import dataclasses
import json
from typing import Annotated, Any

import tyro
from rich.table import Table

import fdl
from fdl.cli.command import (
    OptionalInt,
    OptionalPath,
    Reporting,
    out,
    unset,
)
from fdl.cli.task_command import ToTrain, for_each_task
from fdl.plain import Strategy
from fdl.runs.signals import Interrupted

_SHOWN = 10

Words = Annotated[
    tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUES"), unset("default: none")
]


@dataclasses.dataclass(frozen=True)
class SweepCommand(Reporting, ToTrain):
    """Train a task over seeds and settings at once; keep a table and pictures of it.

    An interrupted sweep goes on when the same command names its folder with `--run`.

    Attributes:
        seeds: Number of seeds of each configuration, counting up from `--seed`.
        grid: Values of a setting, such as `learning-rate=1e-4,3e-4,1e-3`; with several
            settings, every combination is trained.
        random: Range of a setting to draw from, such as `learning-rate=log:1e-4:1e-2`
            or `batch-size=lin:16:64`.
        samples: Draws from the ranges.
        halving: Train all configurations for a few epochs, the best third for three
            times as many, and so on.
        strategy: How members become a program: side by side, or one after the other.
        members_per_chunk: Members trained at a time.
        run: Folder of the sweep.
    """

    seeds: int = 1
    grid: Words = ()
    random: Words = ()
    samples: int = 1
    halving: bool = False
    strategy: Annotated[Strategy | None, unset("chosen if not given")] = None
    members_per_chunk: Annotated[OptionalInt, unset("chosen if not given")] = None
    run: Annotated[OptionalPath, unset("a new one below runs if not given")] = None

    def check(self) -> None:
        """Refuse settings that make no sweep."""
        from fdl.cli.grids import read_grid, read_ranges
        from fdl.runs.space import combine

        config = self.configuration()
        combine(
            config,
            grid=read_grid(config, self.grid),
            ranges=read_ranges(config, self.random),
            samples=self.samples,
            seeds=self.seeds,
        )

    def __call__(self) -> None:
        """Sweep."""
        from fdl.cli.grids import read_grid, read_ranges
        from fdl.cli.leaders import Board

        config = self.configuration()
        from fdl.pixels import picture_format

        with (
            Board(self.halving, quiet=self.quiet) as board,
            picture_format(self.format),
        ):
            try:
                found = fdl.runs.sweep(
                    **self.trained(),
                    grid=read_grid(config, self.grid),
                    ranges=read_ranges(config, self.random),
                    samples=self.samples,
                    seeds=self.seeds,
                    halving=self.halving,
                    strategy=self.strategy,
                    members_per_chunk=self.members_per_chunk,
                    path=self.run,
                    data_dir=self.data.data_dir,
                    on_start=board.on_start,
                    on_rows=board.on_rows,
                )
            except KeyboardInterrupt:
                raise Interrupted(board.how_to_go_on()) from None
        if self.json:
            result = json.loads((found.path / "result.json").read_text("utf-8"))
            print(json.dumps({"path": str(found.path)} | result))
            return
        _print(found)


def _print(found: Any) -> None:
    from fdl.runs.sweep_report import cells

    lines = [cells(found, outcome) for outcome in found.outcomes[:_SHOWN]]
    table = Table(*dict.fromkeys(name for line in lines for name in line))
    for line in lines:
        table.add_row(*line.values())
    out.print(table)
    out.print(f"sweep folder  {found.path}", soft_wrap=True)
    out.print(f"report        {found.path / 'report.html'}", soft_wrap=True)


def commands(own: str | None = None) -> Any:
    """Return `fdl sweep TASK` for each task, or a command for one of the user's."""
    return for_each_task(SweepCommand, "Sweep over the {}.", own)

"""`fdl sweep`."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.table import Table

import fdl
from fdl.cli.command import (
    AnswerIsNoError,
    OfRun,
    OptionalInt,
    OptionalPath,
    Reporting,
    out,
    say_what_is_read,
    unset,
)
from fdl.cli.parse import options
from fdl.cli.signals import saying_how_to_go_on
from fdl.cli.task_command import ToTrain, for_each_task
from fdl.files import json_text
from fdl.plain import Strategy
from fdl.runs.listing import read_json

_SHOWN = 10

Words = Annotated[
    tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUES"), unset("default: none")
]


Cluster = Annotated[
    str | None, tyro.conf.arg(metavar="ADDRESS"), unset("this process if not given")
]


@dataclasses.dataclass(frozen=True)
class SweepCommand(Reporting, ToTrain):
    """Train a task over seeds and settings at once; keep a table and pictures of it.

    A sweep that was cut off goes on by `fdl sweep --run RUN`.

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
        allow_changes: Go on with a sweep under other versions of Python and packages,
            too; then the result may differ.
        cluster: Where members are trained: `local:N` for N workers on this machine, or
            the address of a Dask scheduler, such as `tls://HOST:8786`.
        allow_unencrypted: Talk to a scheduler beyond this machine without TLS, though
            whoever reaches it can run code on its workers and here.
    """

    seeds: int = 1
    grid: Words = ()
    random: Words = ()
    samples: int = 1
    halving: bool = False
    strategy: Annotated[Strategy | None, unset("chosen if not given")] = None
    members_per_chunk: Annotated[OptionalInt, unset("chosen if not given")] = None
    run: Annotated[OptionalPath, unset("a new one below runs if not given")] = None
    allow_changes: bool = False
    cluster: Cluster = None
    allow_unencrypted: bool = False

    def validate(self) -> None:
        """Refuse settings that make no sweep."""
        from fdl.cli.grids import read_grid, read_ranges
        from fdl.runs.space import combine

        config = self.configuration()
        _require_cluster(self)
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

        config = self.configuration()
        _sweep(
            self,
            lambda **watch: fdl.runs.sweep(
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
                allow_changes=self.allow_changes,
                cluster=self.cluster,
                allow_unencrypted=self.allow_unencrypted,
                **watch,
            ),
        )


@dataclasses.dataclass(frozen=True)
class ResumeSweep(Reporting, OfRun):
    """Go on with a sweep that was cut off, from the last finished epoch of its members.

    It ends as if it had never been cut off.

    Attributes:
        run: Folder of the sweep.
        data_dir: Folder to look for the data in.
        allow_changes: Go on under other versions of Python and packages, too; then the
            result may differ.
        cluster: Where members are trained, which need not be where the sweep began:
            `local:N`, or the address of a Dask scheduler.
        allow_unencrypted: Talk to a scheduler beyond this machine without TLS, though
            whoever reaches it can run code on its workers and here.
    """

    run: Annotated[Path, tyro.conf.arg(metavar="PATH")]
    data_dir: Annotated[OptionalPath, unset("that of the sweep if not given")] = None
    allow_changes: bool = False
    cluster: Cluster = None
    allow_unencrypted: bool = False

    def validate(self) -> None:
        """Refuse what is no cluster."""
        _require_cluster(self)

    def __call__(self) -> None:
        """Go on."""
        if (self.run / "config.json").is_file():
            said = read_json(self.run / "config.json")
            place = said.get("data_dir") if self.data_dir is None else None
            say_what_is_read(self.run, said.get("dataset"), place)
        _sweep(
            self,
            lambda **watch: fdl.runs.resume_sweep(
                self.run,
                model=self.model,
                task=self.task,
                data_dir=self.data_dir,
                allow_changes=self.allow_changes,
                cluster=self.cluster,
                allow_unencrypted=self.allow_unencrypted,
                **watch,
            ),
        )


def goes_on(words: Sequence[str]) -> bool:
    """Return whether words name the folder of a sweep, and nothing that begins one.

    A task of the user's may be named again, where there is a sweep to go on with.
    """
    given = {
        word.partition("=")[0]: word.partition("=")[2] or after
        for word, after in zip(words, [*words[1:], ""], strict=True)
        if word.startswith("-")
    }
    if not words or not words[0].startswith("-") or "--run" not in given:
        return False
    begun = Path(given["--run"], "config.json").is_file()
    return given.keys() <= options(ResumeSweep).keys() and (
        begun or "--task" not in given
    )


def _require_cluster(command: "SweepCommand | ResumeSweep") -> None:
    """Refuse what is no cluster, or one that others can listen to."""
    from fdl.runs.cluster_address import require_cluster, require_encrypted

    if command.cluster is None:
        return
    if require_cluster(command.cluster) is None and not command.allow_unencrypted:
        require_encrypted(command.cluster)


def _sweep(command: SweepCommand | ResumeSweep, sweep: Callable[..., Any]) -> None:
    """Sweep, watch, and say what came of it.

    Args:
        command: Says how much to say.
        sweep: Takes what `fdl.runs.sweep` calls, by name, and returns what it found.
    """
    from fdl.cli.leaders import Board
    from fdl.pixels import picture_format
    from fdl.runs.errors import MembersError

    board = Board(quiet=command.quiet)
    again = command.named_again + _cluster_again(command)
    going_on = saying_how_to_go_on(board.going_on, again)
    with board, picture_format(command.format), going_on:
        try:
            found = sweep(on_start=board.on_start, on_rows=board.on_rows)
        except MembersError as error:
            raise AnswerIsNoError(f"{error}{again}") from error
    if command.json:
        result = read_json(found.path / "result.json")
        print(json_text({"path": str(found.path)} | result))
        return
    _print(found)


def _cluster_again(command: SweepCommand | ResumeSweep) -> str:
    words = "" if command.cluster is None else f" --cluster {command.cluster}"
    return words + " --allow-unencrypted" * command.allow_unencrypted


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

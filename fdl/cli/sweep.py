"""`fdl sweep`."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import tyro
from rich.table import Column, Table

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
from fdl.cli.signals import saying_how_to_resume
from fdl.cli.task_command import ToTrain, for_each_task
from fdl.files import json_text
from fdl.plain import Strategy
from fdl.runs.listing import read_json

_SHOWN = 10

Words = Annotated[
    tuple[str, ...], tyro.conf.arg(metavar="NAME=VALUES"), unset("default: none")
]


Cluster = Annotated[
    str | None, tyro.conf.arg(metavar="ADDRESS"), unset("default: this process")
]


@dataclasses.dataclass(frozen=True)
class SweepCommand(Reporting, ToTrain):
    """Train a task over many seeds and settings at once; write a table and pictures.

    Resume an interrupted sweep with `fdl sweep --run RUN`.

    Attributes:
        seeds: Number of seeds per configuration, counting up from `--seed`.
        grid: Values of a setting, such as `learning-rate=1e-4,3e-4,1e-3`; with several
            settings, every combination is trained.
        random: Range to sample a setting from, such as `learning-rate=log:1e-4:1e-2`
            or `batch-size=lin:16:64`.
        samples: Number of samples from the ranges.
        halving: Successive halving: train all configurations for a few epochs, the best
            third for three times as many, and so on.
        strategy: How members become one program: side by side (`vmap`), or one after
            the other (`map`).
        members_per_chunk: Number of members to train at a time.
        run: Folder of the sweep.
        allow_changes: Resume a sweep even with other versions of Python or packages;
            the result may then differ.
        cluster: Where to train members: `local:N` for N workers on this machine, or the
            address of a Dask scheduler, such as `tls://HOST:8786`.
        allow_unencrypted: Connect without TLS to a scheduler on another machine,
            although anyone who can reach it can run code on its workers and here.
    """

    seeds: int = 1
    grid: Words = ()
    random: Words = ()
    samples: int = 1
    halving: bool = False
    strategy: Annotated[Strategy | None, unset("default: automatic")] = None
    members_per_chunk: Annotated[OptionalInt, unset("default: automatic")] = None
    run: Annotated[OptionalPath, unset("default: a new one in runs")] = None
    allow_changes: bool = False
    cluster: Cluster = None
    allow_unencrypted: bool = False

    def validate(self) -> None:
        """Reject settings that do not make a sweep."""
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
        """Run the sweep."""
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
    """Resume an interrupted sweep from the last finished epoch of its members.

    It ends as if it had not been interrupted.

    Attributes:
        run: Folder of the sweep.
        data_dir: Folder to search for the data.
        allow_changes: Resume even with other versions of Python or packages; the result
            may then differ.
        cluster: Where to train members, which need not be where the sweep began:
            `local:N`, or the address of a Dask scheduler.
        allow_unencrypted: Connect without TLS to a scheduler on another machine,
            although anyone who can reach it can run code on its workers and here.
    """

    run: Annotated[Path, tyro.conf.arg(metavar="PATH")]
    data_dir: Annotated[OptionalPath, unset("default: that of the sweep")] = None
    allow_changes: bool = False
    cluster: Cluster = None
    allow_unencrypted: bool = False

    resumes: ClassVar[str | None] = "sweep"

    def validate(self) -> None:
        """Reject an invalid cluster."""
        _require_cluster(self)

    def __call__(self) -> None:
        """Resume."""
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
    """Return whether words resume a sweep: they name its folder, and no new task.

    `--task` may name the user's own task again, if the sweep exists.
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
    """Reject an invalid cluster, or one whose connections are not encrypted."""
    from fdl.runs.cluster_address import require_cluster, require_encrypted

    if command.cluster is None:
        return
    if require_cluster(command.cluster) is None and not command.allow_unencrypted:
        require_encrypted(command.cluster)


def _sweep(command: SweepCommand | ResumeSweep, sweep: Callable[..., Any]) -> None:
    """Sweep, show progress, and print the result.

    Args:
        command: The command, with its options for output.
        sweep: Takes the callbacks of `fdl.runs.sweep` by name, and returns its result.
    """
    from fdl.cli.leaders import Board
    from fdl.pixels import picture_format
    from fdl.runs.errors import MembersError

    board = Board(quiet=command.quiet)
    again = command.named_again + _cluster_again(command)
    resuming = saying_how_to_resume(board.resume_command, again)
    with board, picture_format(command.format), resuming:
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
    # A column that is empty, such as the deviation of one seed, would take the room of
    # others in a narrow terminal.
    names = [name for name in lines[0] if any(line[name] for line in lines)]
    table = Table(*(Column(name, overflow="fold") for name in names))
    for line in lines:
        table.add_row(*(line[name] for name in names))
    out.print(table)
    out.print(f"sweep folder  {found.path}", soft_wrap=True)
    out.print(f"report        {found.path / 'report.html'}", soft_wrap=True)


def commands(own: str | None = None) -> Any:
    """Return `fdl sweep TASK` for each task, or a command for the user's own."""
    return for_each_task(SweepCommand, "Sweep over the {}.", own)

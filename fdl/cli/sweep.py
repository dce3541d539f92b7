"""`fdl sweep`."""

import dataclasses
import json
import math
import time
from pathlib import Path
from typing import Annotated, Any

import tyro

from fdl import data, tasks
from fdl.cli.command import (
    OptionalInt,
    OptionalPath,
    ToTrain,
    for_each_task,
    out,
)
from fdl.cli.environment import commit, device, versions
from fdl.cli.leaders import Board
from fdl.cli.sweep_report import draw, table
from fdl.cli.trained import record
from fdl.tasks.space import combine, read_grid, read_ranges
from fdl.tasks.sweep import Outcome, Sweep
from fdl.train import RunError, RunFolder, Strategy, fresh_path

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
        task = tasks.find(self.task)
        config = self.config()
        members = combine(
            config,
            grid=read_grid(config, self.grid),
            ranges=read_ranges(config, self.random),
            samples=self.samples,
            seeds=self.seeds,
        )
        dataset = self.load(config)
        for size in {member.batch_size for member in members}:
            data.check(dataset.train, batch_size=size)
        about = record(config, dataset.info, self.data_dir) | {
            "sweep": {
                "seeds": self.seeds,
                "grid": list(self.grid),
                "random": list(self.random),
                "samples": self.samples,
                "halving": self.halving,
            }
        }
        name = f"sweep-{config.task}-{config.dataset}"
        path = fresh_path(Path("runs"), name) if self.run is None else self.run
        _open(path, about)
        sweep = Sweep(task, members, dataset, path)
        started = time.perf_counter()
        already = len(sweep.rows)
        with Board(sweep, self.halving) as board:
            sweep.run(
                halving=self.halving,
                strategy=self.strategy,
                members_per_chunk=self.members_per_chunk,
                on_rows=board.add,
            )
        seconds = time.perf_counter() - started
        outcomes = sweep.outcomes()
        self._keep_best(sweep, outcomes[0])
        result = {
            "task": config.task,
            "dataset": dataset.info.name,
            "metric": task.metric,
            "mode": task.mode,
            "members": len(members),
            "varied": sweep.varied,
            "configurations": [_as_json(outcome) for outcome in outcomes],
            "seconds": seconds,
            "epochs_trained": len(sweep.rows) - already,
            "device": device(),
            "versions": versions(),
            "commit": commit(),
        }
        RunFolder(path).write_json("result.json", result)
        draw(sweep, outcomes, path, name)
        out.print(table(sweep, outcomes[:_SHOWN]))
        out.print(f"sweep folder  {path}", soft_wrap=True)
        out.print(f"report        {path / 'report.html'}", soft_wrap=True)

    def _keep_best(self, sweep: Sweep, outcome: Outcome) -> None:
        """Write the best member as a run, for `fdl eval` and the others to read."""
        best = sweep.best_member(outcome)
        if best is None:
            return
        k, state = best
        about = record(sweep.configs[k], sweep.dataset.info, self.data_dir)
        folder = RunFolder.create(sweep.folder / "best", about, overwrite=True)
        folder.save(state)


def commands() -> Any:
    """Return `fdl sweep TASK` for each task, as a union of subcommands."""
    return for_each_task(SweepCommand, "Sweep over the {}.")


def _open(path: Path, about: dict[str, Any]) -> None:
    """Make the sweep's folder, or go on in it if it is of the same sweep."""
    if not (path / "config.json").is_file():
        RunFolder.create(path, about)
        return
    kept = RunFolder(path).config()
    same = lambda config: {k: v for k, v in config.items() if k != "versions"}
    if same(kept) != same(json.loads(json.dumps(about))):
        raise RunError(
            f"{path} holds another run or sweep: repeat its command to go on with it, "
            "or give this one another folder."
        )


def _as_json(outcome: Outcome) -> dict[str, Any]:
    summary = outcome.summary
    content = outcome._asdict()
    content["summary"] = (
        None
        if summary is None
        else {
            name: None if math.isnan(value) else value
            for name, value in summary._asdict().items()
        }
    )
    return content

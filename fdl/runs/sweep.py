"""Train a task over seeds and settings into a folder."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fdl import data, tasks
from fdl.runs.environment import made_with
from fdl.runs.folder import RunError, RunFolder, fresh_path
from fdl.runs.members import Members
from fdl.runs.outcomes import Outcome, Sweep
from fdl.runs.parts import Row
from fdl.runs.rounds import Round, halving_rounds, train_members
from fdl.runs.run import record
from fdl.runs.settings import configured
from fdl.runs.space import Range, combine
from fdl.runs.sweep_report import draw
from fdl.tasks import Config
from fdl.train import Strategy


def sweep(
    task: str | Config,
    *,
    grid: Mapping[str, Sequence[Any]] = MappingProxyType({}),
    ranges: Mapping[str, Range] = MappingProxyType({}),
    samples: int = 1,
    seeds: int = 1,
    halving: bool = False,
    strategy: Strategy | None = None,
    members_per_chunk: int | None = None,
    path: Path | str | None = None,
    data_dir: Path | str | None = None,
    on_start: Callable[[Members], None] | None = None,
    on_rows: Callable[[list[Row]], None] = lambda rows: None,
    **settings: Any,
) -> Sweep:
    """Train a task over seeds and settings at once; keep a table and pictures of it.

    The same call with the folder of an interrupted sweep goes on with it.

    Args:
        task: Name of a task, or all settings of a run.
        grid: Values of settings; every combination is trained.
        ranges: Where settings are drawn from.
        samples: Draws from the ranges.
        seeds: Number of seeds of each configuration, counting up from its own.
        halving: Train all configurations for a few epochs, the best third for three
            times as many, and so on.
        strategy: How members become a program; None to choose.
        members_per_chunk: Members trained at a time; None to choose.
        path: Folder of the sweep; None for a new one below `runs`.
        data_dir: Folder to look for the data in, before the usual places.
        on_start: Called with the members before the first is trained.
        on_rows: Called with what an epoch of some members gave.
        settings: Settings by name where `task` is a name; see `fdl.runs.configure`.

    Raises:
        DataError: If the data cannot be had, or are smaller than a batch.
        RunError: If something else is in the folder.
        ValueError: If a setting is unknown or out of range, or halving is impossible.

    Example:
        >>> import fdl.runs, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     found = fdl.runs.sweep(
        ...         "mlp",
        ...         grid={"learning_rate": [1e-5, 1e-2]},
        ...         dataset="mnist-5k",
        ...         epochs=1,
        ...         path=folder,
        ...     )
        >>> found.outcomes[0].settings
        {'learning_rate': 0.01}
    """
    config = configured(task, settings)
    found = tasks.find(config.task)
    configs = combine(config, grid=grid, ranges=ranges, samples=samples, seeds=seeds)
    where = None if data_dir is None else Path(data_dir)
    dataset = found.prepare(data.load(config.dataset, data_dir=where), config)
    for size in {one.batch_size for one in configs}:
        data.check(dataset.train, batch_size=size)
    about = record(config, dataset.info, where) | {
        "sweep": {
            "grid": {name: list(values) for name, values in grid.items()},
            "ranges": {name: str(one) for name, one in ranges.items()},
            "samples": samples,
            "seeds": seeds,
            "halving": halving,
        }
    }
    name = f"sweep-{config.task}-{config.dataset}"
    folder = _open(fresh_path(Path("runs"), name) if path is None else Path(path), about)
    members = Members(found, configs, dataset, folder.path)
    rounds = halving_rounds(members) if halving else [Round()]
    if on_start is not None:
        on_start(members)
    started, already = time.perf_counter(), len(members.rows)
    train_members(
        members,
        rounds,
        strategy=strategy,
        members_per_chunk=members_per_chunk,
        on_rows=on_rows,
    )
    seconds = time.perf_counter() - started
    outcomes = members.outcomes()
    best = _keep_best(members, where)
    result = {
        "task": config.task,
        "dataset": dataset.info.name,
        "metric": found.metric,
        "mode": found.mode,
        "members": len(configs),
        "varied": members.varied,
        "configurations": [_as_json(outcome) for outcome in outcomes],
        "seconds": seconds,
        "epochs_trained": len(members.rows) - already,
        **made_with(),
    }
    folder.write_json("result.json", result)
    done = Sweep(
        folder.path, found.metric, found.mode, outcomes, best, members.table()
    )
    draw(done, config, len(configs), name)
    return done


def _open(path: Path, about: dict[str, Any]) -> RunFolder:
    """Make the sweep's folder, or go on in it if it is of the same sweep."""
    if not (path / "config.json").is_file():
        return RunFolder.create(path, about)
    folder = RunFolder(path)
    same = lambda config: {k: v for k, v in config.items() if k != "versions"}
    if same(folder.config()) != same(json.loads(json.dumps(about))):
        raise RunError(
            f"{path} holds another run or sweep: repeat its command to go on with it, "
            "or give this one another folder."
        )
    return folder


def _keep_best(members: Members, data_dir: Path | None) -> Path | None:
    """Write the best member as a run."""
    k = members.best()
    if k is None:
        return None
    about = record(members.configs[k], members.dataset.info, data_dir)
    folder = RunFolder.create(members.folder / "best", about, overwrite=True)
    folder.save(members.states([k])[k])
    return folder.path


def _as_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome without what JSON does not know, such as NaN."""
    content = outcome._asdict()
    if outcome.summary is not None:
        content["summary"] = {
            name: None if math.isnan(value) else value
            for name, value in outcome.summary._asdict().items()
        }
    return content

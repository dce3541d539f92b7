"""Train a task over seeds and settings into a folder."""

import dataclasses
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fdl import data, tasks
from fdl.members import Strategy
from fdl.runs.checkpoints import Checkpoint
from fdl.runs.commands import sweep_command
from fdl.runs.environment import made_with
from fdl.runs.errors import RunError
from fdl.runs.folder import RunFolder, fresh_path
from fdl.runs.lock import held
from fdl.runs.members import Members
from fdl.runs.novelty import keep_detector
from fdl.runs.outcomes import Outcome, Sweep
from fdl.runs.parts import Row
from fdl.runs.rounds import Round, halving_rounds, train_members
from fdl.runs.run import record
from fdl.runs.seen import keep_seen, seen_of
from fdl.runs.selection import require_held_out
from fdl.runs.settings import configured
from fdl.runs.space import Range, combine, configurations
from fdl.runs.sweep_report import draw
from fdl.tasks import Config, Task


def sweep(
    task: str | Task | Config,
    *,
    model: Any = None,
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

    The best configuration, and its best member, are those that are best on the
    validation part; for these, the test set is measured at the end. A sweep over seeds
    alone chooses no configuration, and needs no validation part.

    The same call with the folder of an interrupted sweep goes on with it.

    Args:
        task: Name of a task, or a task of your own, or all settings of a run.
        model: Of a task that trains a model of yours: a Linen module, or what makes one
            of `num_classes`, or `MODULE:NAME` of such, which is imported.
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
        ValueError: If a setting is unknown or out of range, halving is impossible, or
            there is something to choose and no validation part to choose by.

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
    found, config = configured(task, model, settings, data_dir)
    configs = combine(config, grid=grid, ranges=ranges, samples=samples, seeds=seeds)
    if len(set(configurations(configs))) > 1:
        require_held_out(config, "the best settings", "sweep over seeds alone")
    where = None if data_dir is None else Path(data_dir)
    dataset = tasks.load(found, config, data_dir=where)
    config = tasks.with_class_weights(config, dataset)
    weights = config.class_weights
    configs = [dataclasses.replace(one, class_weights=weights) for one in configs]
    for size in {one.batch_size for one in configs}:
        data.check(dataset.train, batch_size=size)
    about = record(found, config, dataset.info, where) | {
        "sweep": {
            "grid": {name: list(values) for name, values in grid.items()},
            "ranges": {name: str(one) for name, one in ranges.items()},
            "samples": samples,
            "seeds": seeds,
            "halving": halving,
        }
    }
    name = f"sweep-{config.task}-{data.short_name(config.dataset)}"
    rounds = [Round()]
    if halving:
        rounds = halving_rounds(found, configs, dataset.info)
    folder = _open(
        fresh_path(Path("runs"), name) if path is None else Path(path), about
    )
    with held(folder.path):
        members = Members(found, configs, dataset, folder.path)
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
        members.test()
        outcomes = members.outcomes()
        best, reached = _keep_best(members, where)
        result = {
            "task": config.task,
            "dataset": dataset.info.name,
            "metric": found.metric,
            "mode": found.mode,
            "members": len(configs),
            "varied": members.varied,
            "configurations": [_as_json(outcome) for outcome in outcomes],
            "best": reached,
            "seconds": seconds,
            "epochs_trained": len(members.rows) - already,
            **made_with(),
        }
        folder.write_json("result.json", result)
    done = Sweep(
        folder.path,
        found.metric,
        found.mode,
        outcomes,
        best,
        reached["test"] if reached else {},
        members.table(),
    )
    command = sweep_command(
        config, grid=grid, ranges=ranges, samples=samples, seeds=seeds, halving=halving
    )
    draw(done, config, len(configs), name, command)
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


def _keep_best(
    members: Members, data_dir: Path | None
) -> tuple[Path | None, dict[str, Any] | None]:
    """Write the best member as a run; return its folder, and what it reached."""
    k = members.best()
    if k is None:
        return None, None
    config = members.configs[k]
    about = record(members.task, config, members.dataset.info, data_dir)
    folder = RunFolder.create(members.folder / "best", about, overwrite=True)
    keep_seen(folder.path, seen_of(members.dataset))
    state = members.states([k])[k]
    # Of the hyperparameters, a run of its own has the learning rate alone in its state.
    rate = state.hparams["learning_rate"]
    state = state._replace(hparams={"learning_rate": rate})
    if config.ema == 0:  # it keeps an average only because another member has one
        extra = {name: x for name, x in state.extra.items() if name != "ema"}
        state = state._replace(extra=extra)
    folder.keep(Checkpoint(state))
    last = members.last_rows()[k]
    of = lambda part: {
        name.removeprefix(f"{part}_"): value
        for name, value in last.items()
        if name.startswith(f"{part}_")
    }
    validation, test = of("validation"), of("test")
    result = {
        "task": config.task,
        "dataset": config.dataset,
        "epochs": last["epoch"],
        "seed": config.seed,
        "metrics": test,
        "validation": validation,
        **keep_detector(folder.path, members.task, members.dataset),
        **made_with(),
    }
    folder.write_json("result.json", result)
    return folder.path, {
        "member": k,
        "configuration": members.numbers[k],
        "seed": config.seed,
        "validation": validation,
        "test": test,
    }


def _as_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome without what JSON does not know, such as NaN."""
    content = outcome._asdict()
    for which in ("summary", "test"):
        summary = content[which]
        if summary is not None:
            content[which] = {
                name: None if math.isnan(value) else value
                for name, value in summary._asdict().items()
            }
    return content

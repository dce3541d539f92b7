"""Train a task over seeds and settings into a folder."""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fdl import data, tasks
from fdl.members import Strategy
from fdl.runs.best import keep_best
from fdl.runs.chunks import Round
from fdl.runs.commands import sweep_command
from fdl.runs.environment import made_with
from fdl.runs.errors import RunError
from fdl.runs.folder import RunFolder, fresh_path, require_free
from fdl.runs.lock import held
from fdl.runs.members import Members
from fdl.runs.outcomes import Outcome, Sweep
from fdl.runs.own_files import discard_parts
from fdl.runs.part import Row
from fdl.runs.record import read, record
from fdl.runs.rounds import halving_rounds, train_members, train_round
from fdl.runs.same import require_same_sweep
from fdl.runs.search import Search
from fdl.runs.selection import require_held_out
from fdl.runs.settings import configured
from fdl.runs.space import Range, configurations
from fdl.runs.sweep_report import draw
from fdl.tasks import Config, Task

if TYPE_CHECKING:
    from distributed import Client

    from fdl.runs.cluster import Workers

_REMEDY = "Restore it, or use another folder for the sweep."


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
    allow_changes: bool = False,
    cluster: "Client | str | None" = None,
    allow_unencrypted: bool = False,
    on_start: Callable[[Members], None] | None = None,
    on_rows: Callable[[list[Row]], None] = lambda rows: None,
    **settings: Any,
) -> Sweep:
    """Train a task over many seeds and settings at once; save a table and pictures.

    The best configuration, and its best member, are chosen on the validation part, and
    evaluated on the test set at the end. A sweep over seeds alone chooses no
    configuration, and needs no validation part.

    The same call with the folder of an interrupted sweep resumes it, as `resume_sweep`
    does.

    Args:
        task: Name of a task, a task of your own, or all settings of a run.
        model: The model, for a task that trains one of yours: a Linen module, a
            function of `num_classes` that returns one, or the `MODULE:NAME` of either,
            which is imported.
        grid: Values of settings; every combination is trained.
        ranges: Ranges to draw settings from.
        samples: Number of draws from the ranges.
        seeds: Number of seeds of each configuration, counting up from its own.
        halving: Train all configurations for a few epochs, the best third for three
            times as many, and so on.
        strategy: How members are combined into one program; None to choose.
        members_per_chunk: Number of members trained at a time; None to choose.
        path: Folder of the sweep; None for a new one in `runs`.
        data_dir: Folder to search for the data first, before the usual places.
        allow_changes: Resume a sweep even with other versions of Python and packages,
            on another device, or in other chunks; the result may then differ.
        cluster: Where to train members, in chunks that Dask's scheduler distributes: a
            `distributed.Client`; `"local:N"` for N workers on this machine; or the
            address of a scheduler, such as `"tls://HOST:8786"`. None for this process,
            with the same result, bit for bit. Needs the extra `cluster`.
        allow_unencrypted: Connect to a scheduler on another machine without TLS, even
            though whoever reaches it can run code on its workers and here.
        on_start: Called with the members before the first is trained.
        on_rows: Called with the rows of an epoch of some members.
        settings: Settings by name, unless `task` has all; see `fdl.runs.configure`.

    Raises:
        DataError: If the data cannot be loaded, or are smaller than a batch.
        MembersError: If members failed on the workers of a cluster; all others are
            saved, and the sweep can be resumed.
        RunError: If the folder contains something else, or a sweep that began with
            other settings, versions, data or another kind of device; or if the
            scheduler of a cluster does not answer, or its workers differ.
        ValueError: If a setting is unknown or out of range, halving is impossible, or
            there is no validation part to choose by.

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
    search = Search(grid, ranges, samples, seeds, halving, strategy, members_per_chunk)
    with _workers(cluster, allow_unencrypted, allow_changes) as workers:
        return _sweep(
            found,
            config,
            search,
            None if path is None else Path(path),
            None if data_dir is None else Path(data_dir),
            allow_changes=allow_changes,
            workers=workers,
            on_start=on_start,
            on_rows=on_rows,
        )


def resume_sweep(
    path: Path | str,
    *,
    model: Any = None,
    task: str | Task | None = None,
    data_dir: Path | str | None = None,
    allow_changes: bool = False,
    cluster: "Client | str | None" = None,
    allow_unencrypted: bool = False,
    on_start: Callable[[Members], None] | None = None,
    on_rows: Callable[[list[Row]], None] = lambda rows: None,
) -> Sweep:
    """Resume an interrupted sweep from its folder.

    Members resume from their last epoch. The sweep ends as if it had never been
    interrupted, bit for bit. If it has ended, tables and pictures are written again.

    Args:
        path: Folder of the sweep.
        model: As for `fdl.load`.
        task: As for `fdl.load`.
        data_dir: Folder to search for the data; None for that of the sweep.
        allow_changes: As for `sweep`.
        cluster: As for `sweep`, and independent of where the sweep began.
        allow_unencrypted: As for `sweep`.
        on_start: As for `sweep`.
        on_rows: As for `sweep`.

    Raises:
        DataError: If the data cannot be loaded.
        RunError: If the folder contains no sweep or a damaged one; or if versions, data
            or the kind of device differ from those that it began with.

    Example:
        >>> import fdl.runs, tempfile
        >>> grid = {"learning_rate": [1e-5, 1e-2]}
        >>> settings = {"dataset": "mnist-5k", "grid": grid, "epochs": 2}
        >>> def cut_off(rows):
        ...     raise KeyboardInterrupt
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     try:
        ...         fdl.runs.sweep("mlp", path=folder, on_rows=cut_off, **settings)
        ...     except KeyboardInterrupt:
        ...         found = fdl.runs.resume_sweep(folder)
        >>> [(row["member"], row["epoch"]) for row in found.rows]
        [(0, 1), (0, 2), (1, 1), (1, 2)]
    """
    path = Path(path)
    folder = _existing(path)
    if folder is None:
        raise RunError(
            f"{path} is not a sweep: it has no config.json. To start one, name a task."
        )
    found, trained, where = read(folder, model=model, task=task)
    try:
        search = Search.from_json(folder.config()["sweep"])
        search.members(trained.config)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as e:
        raise RunError(f"{path / 'config.json'} is damaged: {e!r}. {_REMEDY}") from e
    with _workers(cluster, allow_unencrypted, allow_changes) as workers:
        return _sweep(
            found,
            trained.config,
            search,
            path,
            where if data_dir is None else Path(data_dir),
            allow_changes=allow_changes,
            workers=workers,
            on_start=on_start,
            on_rows=on_rows,
        )


def _workers(
    cluster: "Client | str | None", allow_unencrypted: bool, allow_changes: bool
) -> "contextlib.AbstractContextManager[Workers | None]":
    """Return the workers of a cluster; None if this process trains by itself."""
    if cluster is None:
        return contextlib.nullcontext()
    try:
        from fdl.runs.cluster import connected
    except ModuleNotFoundError as error:
        raise ValueError(
            f"the package {error.name} is missing: pip install 'fdl[cluster]'."
        ) from error
    return connected(
        cluster, allow_unencrypted=allow_unencrypted, allow_changes=allow_changes
    )


def _sweep(
    task: Task,
    config: Config,
    search: Search,
    path: Path | None,
    data_dir: Path | None,
    *,
    allow_changes: bool,
    workers: "Workers | None",
    on_start: Callable[[Members], None] | None,
    on_rows: Callable[[list[Row]], None],
) -> Sweep:
    """Start or resume a sweep; `sweep` describes the arguments.

    It is trained by `workers`, or by this process without them.
    """
    size = search.members_per_chunk
    if size is not None and size < 1:
        raise ValueError(f"members_per_chunk={size} must be at least 1.")
    configs = search.members(config)
    if len(set(configurations(configs))) > 1:
        require_held_out(config, "the best settings", "sweep over seeds alone")
    dataset = tasks.load(task, config, data_dir=data_dir)
    config = tasks.with_class_weights(config, dataset)
    weights = config.class_weights
    configs = [dataclasses.replace(one, class_weights=weights) for one in configs]
    for size in {one.batch_size for one in configs}:
        data.check(dataset.train, batch_size=size)
    about = record(task, config, dataset.info, data_dir) | {"sweep": search.to_json()}
    made = made_with()
    if workers is not None:
        about["environment"] = workers.wanted.machine.environment
        made["device"] = workers.wanted.machine.device
    name = f"sweep-{config.task}-{data.short_name(config.dataset)}"
    rounds = [Round()]
    if search.halving:
        rounds = halving_rounds(task, configs, dataset.info)
    path = fresh_path(Path("runs"), name) if path is None else path
    if _existing(path) is None:
        require_free(path, overwrite=False)
    path.mkdir(parents=True, exist_ok=True)
    with held(path):
        discard_parts(path)
        folder = _existing(path)
        if folder is None:
            folder = RunFolder.create(path, about)
        else:
            require_same_sweep(folder, about, allow_changes=allow_changes)
        members = Members(task, configs, dataset, folder.path, halving=search.halving)
        if on_start is not None:
            on_start(members)
        train, measure = train_round, members.tested
        if workers is not None:
            from fdl.runs.cluster_chunks import ClusterChunks

            chunks = ClusterChunks(workers, members)
            train, measure = chunks.train_round, chunks.tested
        train_members(
            members,
            rounds,
            strategy=search.strategy,
            members_per_chunk=search.members_per_chunk,
            on_rows=on_rows,
            train_round=train,
        )
        members.test(measure)
        outcomes = members.outcomes()
        best, reached = keep_best(members, data_dir)
        result = {
            "task": config.task,
            "dataset": dataset.info.name,
            "metric": task.metric,
            "mode": task.mode,
            "members": len(configs),
            "varied": members.varied,
            "configurations": [_as_json(outcome) for outcome in outcomes],
            "best": reached,
            "seconds": members.seconds,
            "epochs_trained": len(members.rows),
            **made,
        }
        folder.write_json("result.json", result)
    done = Sweep(
        folder.path,
        task.metric,
        task.mode,
        outcomes,
        best,
        reached["test"] if reached else {},
        members.table(),
    )
    command = sweep_command(task, config, search, dataset.info, data_dir)
    draw(done, config, len(configs), name, command)
    return done


def _existing(path: Path) -> RunFolder | None:
    """Return the folder of an existing sweep; None if there is none."""
    if not (path / "config.json").is_file():
        return None
    folder = RunFolder(path)
    try:
        said = folder.config()
    except RunError as error:
        raise RunError(f"{error} {_REMEDY}") from error
    if "sweep" not in said:
        raise RunError(
            f"{path} contains a run, not a sweep: resume it with `fdl train --resume "
            f"{path}`, or use another folder."
        )
    return folder


def _as_json(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON, with None for NaN."""
    content = outcome._asdict()
    for which in ("summary", "test"):
        summary = content[which]
        if summary is not None:
            content[which] = {
                name: None if math.isnan(value) else value
                for name, value in summary._asdict().items()
            }
    return content

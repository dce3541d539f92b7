"""Resume an interrupted training."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax

from fdl import data, processes, tasks
from fdl.learner import State
from fdl.metrics import Metrics
from fdl.plain import CHECKPOINT_MINUTES
from fdl.runs.checkpoints import Checkpoint
from fdl.runs.errors import RunError
from fdl.runs.folder import RunFolder
from fdl.runs.job import Callbacks, Job, Plan, ignore, minutes_of, placed, stopping_of
from fdl.runs.lock import held
from fdl.runs.loggers import Logger, make_loggers
from fdl.runs.own_files import discard_parts
from fdl.runs.record import read, record
from fdl.runs.run import Run
from fdl.runs.same import (
    of_all_processes,
    require_same_conditions,
    require_same_data,
)
from fdl.runs.seen import keep_seen, seen_of
from fdl.runs.start import Start, start_from
from fdl.runs.weights import load_weights
from fdl.tasks import Task, Trained
from fdl.train import Epoch
from fdl.weights import WeightsError


def resume(
    path: Path | str,
    *,
    model: Any = None,
    task: str | Task | None = None,
    data_dir: Path | str | None = None,
    allow_changes: bool = False,
    checkpoint_minutes: float = CHECKPOINT_MINUTES,
    devices: int | None = None,
    loggers: Sequence[Logger | str] = (),
    on_start: Callable[[Plan], Any] = ignore,
    on_chunk: Callable[[int, dict[str, float], State], Any] = ignore,
    on_epoch: Callable[[Epoch, State], Any] = ignore,
    on_finish: Callable[[], Any] = ignore,
    seconds: Mapping[str, float] = MappingProxyType({}),
) -> Run:
    """Resume an interrupted training from its last intact checkpoint.

    It ends as if it had never been interrupted: with the same weights, bit for bit, and
    the same history. If training has ended, weights, results and pictures that are
    missing or damaged are made again.

    Within `fdl.processes.joined` all processes read the folder, and process 0 writes
    it. With `allow_changes`, there may be more or fewer of them than before.

    Args:
        path: Folder of the run.
        model: As for `fdl.load`.
        task: As for `fdl.load`.
        data_dir: Folder to search for the data; None for that of the run.
        allow_changes: Resume even with other versions of Python and packages, another
            kind of device, or other flags; the result may then differ.
        checkpoint_minutes: As for `fdl.runs.train`.
        devices: Number of devices; None for that of the run. Another number needs
            `allow_changes`: the result is then the same up to rounding, not bit for
            bit.
        loggers: As for `fdl.runs.train`.
        on_start: As for `fdl.runs.train`.
        on_chunk: As for `fdl.runs.train`.
        on_epoch: As for `fdl.runs.train`.
        on_finish: As for `fdl.runs.train`.
        seconds: As for `fdl.runs.train`.

    Returns:
        The run, as `fdl.load` returns it from its folder.

    Raises:
        DataError: If the data cannot be loaded.
        DivergenceError: As for `fdl.runs.train`.
        Interrupted: As for `fdl.runs.train`.
        RunError: If the folder contains no run, a complete one, or a damaged one; or if
            the data, versions, kind of device or flags differ from those that it began
            with.

    Example:
        >>> import fdl.runs, tempfile
        >>> settings = {"dataset": "mnist-5k", "epochs": 2}
        >>> def cut_off(line, state):
        ...     raise KeyboardInterrupt
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     try:
        ...         fdl.runs.train("mlp", path=folder, on_epoch=cut_off, **settings)
        ...     except KeyboardInterrupt:
        ...         run = fdl.runs.resume(folder)
        >>> [line.epoch for line in run.history]
        [1, 2]
    """
    path = Path(path)
    with contextlib.ExitStack() as stack:
        if processes.is_first():
            path = RunFolder.open(path).path
            stack.enter_context(held(path))
            discard_parts(path)
        processes.first_says("others may read the folder")  # a barrier
        folder = RunFolder.begun(path)
        found, trained, where = read(folder, model=model, task=task)
        if _is_complete(folder, trained):
            raise RunError(f"{path} is complete: there is nothing to resume.")
        said = folder.config()
        now = record(found, trained.config, trained.info, where)
        devices = _same_devices(path, said.get("devices"), devices, allow_changes)
        placement = placed(
            devices, said.get("shard", "batch"), trained.config.batch_size
        )
        if not allow_changes:
            require_same_conditions(path, said, now)
        where = where if data_dir is None else Path(data_dir)
        dataset = tasks.load(found, trained.config, data_dir=where)
        require_same_data(path, trained.info._asdict(), dataset.info._asdict())
        patience = said.get("early_stopping")
        stopping = None if patience is None else stopping_of(found, trained, patience)
        start, best = folder.checkpoints.newest(trained.state, _sums(trained), stopping)
        if start is None:  # it was killed before its first checkpoint
            given, begin = said.get("init_from"), Start()
            if given is not None:
                begin = start_from(found, trained, Path(given))
            if processes.is_first():
                keep_seen(folder.home, seen_of(dataset, begin.seen))
            start = None if begin.state is None else Checkpoint(begin.state)
        begun = None if start is None else start.state
        processes.require_same(of_all_processes(now, begun))
        if processes.is_first():
            folder.write_history(() if start is None else start.history)
        else:
            folder = RunFolder(path, said=said)
        job = Job(
            found,
            trained,
            dataset,
            folder,
            where,
            stopping,
            make_loggers(loggers),
            minutes_of(checkpoint_minutes),
            Callbacks(on_start, on_chunk, on_epoch, on_finish),
            placement,
        )
        return job.run(start, best=best, seconds=seconds)


def _same_devices(
    path: Path, before: int | None, now: int | None, allow_changes: bool
) -> int | None:
    """Return the number of devices to resume with.

    Raises:
        RunError: If it differs from before, and changes are not allowed.
    """
    if now is None or now == before or allow_changes:
        return before if now is None else now
    raise RunError(
        f"{path} began with devices={before}, but would resume with devices={now}: the "
        "result would be the same up to rounding, not bit for bit. To continue anyway, "
        "use --allow-changes (from Python, allow_changes=True)."
    )


def _is_complete(folder: RunFolder, trained: Trained) -> bool:
    """Return whether a run has all its files, and its weights are intact."""
    try:
        if folder.result() is None:
            return False
        if not folder.history():  # the best member of a sweep
            return True
        load_weights(folder.weights, trained.state)
    except (RunError, WeightsError):  # damaged files are made again
        return False
    return any(folder.path.glob("curves.*"))


def _sums(trained: Trained) -> Metrics:
    """Return the metrics of a step, of which only shapes and types are used."""
    one = data.example(trained.info)
    return jax.eval_shape(trained.learner.step, trained.state, one)[1]

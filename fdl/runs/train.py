"""Train a task into a folder."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fdl import data, processes, tasks
from fdl.learner import State
from fdl.plain import CHECKPOINT_MINUTES, Shard
from fdl.runs.checkpoints import Checkpoint
from fdl.runs.folder import RunFolder, fresh_path, require_free
from fdl.runs.job import Callbacks, Job, Plan, ignore, minutes_of, placed, stopping_of
from fdl.runs.lock import held
from fdl.runs.loggers import Logger, make_loggers
from fdl.runs.record import record
from fdl.runs.run import Run, require_unseen
from fdl.runs.same import of_all_processes
from fdl.runs.seen import keep_seen, require_new, seen_of
from fdl.runs.selection import require_held_out
from fdl.runs.settings import configured
from fdl.runs.start import Start, start_from
from fdl.tasks import Config, Task
from fdl.train import Epoch


def train(
    task: str | Task | Config,
    *,
    model: Any = None,
    path: Path | str | None = None,
    data_dir: Path | str | None = None,
    init_from: Path | str | None = None,
    overwrite: bool = False,
    early_stopping: int | None = None,
    checkpoint_minutes: float = CHECKPOINT_MINUTES,
    devices: int | None = None,
    shard: Shard = "batch",
    loggers: Sequence[Logger | str] = (),
    on_start: Callable[[Plan], Any] = ignore,
    on_chunk: Callable[[int, dict[str, float], State], Any] = ignore,
    on_epoch: Callable[[Epoch, State], Any] = ignore,
    on_finish: Callable[[], Any] = ignore,
    seconds: Mapping[str, float] = MappingProxyType({}),
    **settings: Any,
) -> Run:
    """Train a task; save weights, metrics and pictures in a folder.

    The same settings with the same data and versions give the same weights. Within
    `fdl.processes.joined` the devices of all processes share each batch; process 0
    writes the folder, evaluates on the test set and calls the loggers.

    Args:
        task: Name of a task, a task of your own, or all settings of a run.
        model: The model, for a task that trains one of yours: a Linen module, a
            function of `num_classes` that returns one, or the `MODULE:NAME` of either,
            which is imported; or a .keras or .h5 file of a whole model, whose final
            softmax is removed, and whose head is replaced if it is for other classes
            than the data set's.
        path: Folder of the run; None for a new one in `runs`.
        data_dir: Folder to search for the data first, before the usual places.
        init_from: Weights to start from: the folder of a run, or a .keras, .h5 or
            .safetensors file. They must be of the task's model, except for its head: a
            head for other classes, or missing in a file, is initialized at random
            (`Run.newly_initialized`). None for random weights, or for those of the
            Keras file in `model`; `"none"` to ignore the latter.
        overwrite: Replace the run in the folder, once the new one has finished an
            epoch. Only files that fdl wrote are removed.
        early_stopping: Number of epochs without improvement of the task's metric on the
            validation part after which training stops, at least 1; the result is then
            the best epoch. None to train to the end and return the last.
        checkpoint_minutes: Minutes between saved states within an epoch, above 0; the
            state is also saved after each epoch. `fdl.runs.resume` resumes from there.
        devices: Number of devices that share each batch, see `fdl.fit`; None for one.
        shard: What they share, `"batch"` or `"batch+state"`.
        loggers: Loggers in addition to the folder: `"tensorboard"`, `"wandb"`, or any
            `fdl.runs.Logger`.
        on_start: Called before the first update with the plan of the training.
        on_chunk: Called ten times per epoch with the number of updates made so far, the
            epoch's training metrics so far, and the state, which is only valid during
            the call.
        on_epoch: Called after each epoch with its line of the history and the state,
            likewise, while they are being saved; return True to end the training.
        on_finish: Called after the last epoch, before evaluation on the test set and
            pictures.
        seconds: Time spent before the call, by phase, for `result.json`.
        settings: Settings by name, unless `task` has all; see `fdl.runs.configure`.

    Returns:
        The run, as `fdl.load` returns it from its folder.

    Raises:
        DataError: If the data cannot be loaded, are smaller than a batch, or would be
            tested on images that the initial weights were trained on.
        DivergenceError: If a loss or a parameter becomes non-finite. The folder keeps
            the last good state.
        Interrupted: If a signal ended it, within `fdl.runs.stop_on_signals`.
        ProcessError: If processes differ in settings, data, versions or devices.
        RunError: If the folder contains something else.
        ValueError: If a setting is unknown or out of range, there is nothing to choose
            the best epoch by, or there are too few devices or they cannot share a
            batch.

    Example:
        >>> import fdl.runs, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = fdl.runs.train("mlp", dataset="mnist-5k", epochs=1, path=folder)
        >>> run.history[-1].step
        105
    """
    found, config = configured(task, model, settings, data_dir)
    placement = placed(devices, shard, config.batch_size)
    listening, minutes = make_loggers(loggers), minutes_of(checkpoint_minutes)
    name = f"{config.task}-{data.short_name(config.dataset)}"
    if path is not None and processes.is_first():
        require_free(Path(path), overwrite)
    if init_from is not None and str(init_from) != "none":
        Path(init_from).stat()  # raises early, before any data are read
    if early_stopping is not None:
        require_held_out(config, "the best epoch", "train to the end")
    where = None if data_dir is None else Path(data_dir)
    started = time.perf_counter()
    dataset = tasks.load(found, config, data_dir=where)
    spent = {**seconds, "data": time.perf_counter() - started}
    data.check(dataset.train, batch_size=config.batch_size)
    config = tasks.with_class_weights(config, dataset)
    trained = tasks.outline(found, config, dataset.info)
    stopping = (
        None if early_stopping is None else stopping_of(found, trained, early_stopping)
    )
    start = Start()
    if init_from is None:  # a Keras file has weights, too
        init_from = tasks.file_of_model(config)
    elif str(init_from) == "none":
        init_from = None
    if init_from is not None:
        start = start_from(found, trained, Path(init_from))
        require_unseen(dataset.info, start.trained_on, init_from)
        require_new(dataset, start.seen, init_from, training=True)
    about = record(
        found,
        config,
        dataset.info,
        where,
        trained_on=start.trained_on,
        newly_initialized=start.newly_initialized,
    ) | {
        "init_from": None if init_from is None else str(init_from),
        "early_stopping": early_stopping,
        "devices": devices,
        "shard": shard,
    }
    processes.require_same(of_all_processes(about, start.state))
    place = Path("runs") if path is None else Path(path)
    if path is None and processes.is_first():
        place = fresh_path(place, name)
    place = Path(processes.first_says(str(place)))
    with contextlib.ExitStack() as stack:
        if processes.is_first():
            place.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(place))
            folder = RunFolder.create(place, about, overwrite=overwrite)
            keep_seen(folder.home, seen_of(dataset, start.seen))
        else:
            folder = RunFolder(place, said=about)
        job = Job(
            found,
            trained,
            dataset,
            folder,
            where,
            stopping,
            listening,
            minutes,
            Callbacks(on_start, on_chunk, on_epoch, on_finish),
            placement,
        )
        first = None
        if start.state is not None:
            first = Checkpoint(start.state)
            if processes.is_first():
                folder.checkpoints.save(first)  # to resume without the other run
        try:
            return job.run(first, seconds=spent)
        except BaseException:
            folder.abandon()
            raise

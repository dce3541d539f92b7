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
from fdl.runs.run import Run, record, require_unseen
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
    """Train a task; keep weights, metrics and pictures in a folder.

    The same settings with the same data and versions give the same weights. Within
    `fdl.processes.joined` the devices of all processes share each batch; process 0
    writes the folder, measures the test set and tells the loggers.

    Args:
        task: Name of a task, or a task of your own, or all settings of a run.
        model: Of a task that trains a model of yours: a Linen module, or what makes one
            of `num_classes`, or `MODULE:NAME` of such, which is imported; or a .keras
            or .h5 file of a whole model, without the softmax at its end, and with a
            head for the classes of the data set if it has one for others.
        path: Folder of the run; None for a new one below `runs`.
        data_dir: Folder to look for the data in, before the usual places.
        init_from: Weights to start from instead of random ones: the folder of a run, or
            a .keras, .h5 or .safetensors file. The model that they are from must be the
            task's, but for its head: what is for other classes, or missing in a file,
            is drawn anew (`Run.drawn_anew`). None for random ones, or for those in the
            file of Keras that `model` is, of which `"none"` makes no use.
        overwrite: Replace the run that is in the folder, once the new one has finished
            an epoch. Only what fdl wrote is removed.
        early_stopping: Epochs without a better value of the task's metric on the
            validation part after which training stops, at least 1; the run is then that
            of the best epoch. None to train to the end and keep the last.
        checkpoint_minutes: Within an epoch, the state is saved after so many minutes,
            above 0; it is after each epoch, too. `fdl.runs.resume` goes on from there.
        devices: Number of devices that share each batch, see `fdl.fit`; None for one.
        shard: What they share, `"batch"` or `"batch+state"`.
        loggers: Who is told how it goes, besides the folder: `"tensorboard"`,
            `"wandb"`, or any `fdl.runs.Logger`.
        on_start: Called before the first update with what is to be trained.
        on_chunk: Called ten times an epoch with the number of updates made so far, the
            epoch's training metrics so far, and the state, which is only valid during
            the call.
        on_epoch: Called after each epoch with its line and the state, likewise, which
            are then on their way to the folder. What returns True ends the training.
        on_finish: Called after the last, before the test set is measured and pictures
            are drawn.
        seconds: What time went into before, for `result.json`.
        settings: Settings by name where `task` is a name; see `fdl.runs.configure`.

    Returns:
        The run, as `fdl.load` gives it back from its folder.

    Raises:
        DataError: If the data cannot be had, are smaller than a batch, or would be
            tested on images that the weights to start from were trained on.
        DivergenceError: If a loss or a parameter is no longer finite. The folder keeps
            the last good state.
        Interrupted: If a signal ended it, within `fdl.runs.stop_on_signals`.
        ProcessError: If processes differ in settings, data, versions or devices.
        RunError: If something else is in the folder.
        ValueError: If a setting is unknown or out of range, there is nothing to choose
            the best epoch by, or there are fewer devices or they cannot share a batch.

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
        Path(init_from).stat()  # or it is not there, which no data have to be read for
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
    if init_from is None:  # a model of Keras comes with its weights
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
        drawn_anew=start.drawn_anew,
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
                folder.checkpoints.save(first)  # to go on from, without the other run
        try:
            return job.run(first, seconds=spent)
        except BaseException:
            folder.abandon()
            raise

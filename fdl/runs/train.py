"""Train a task into a folder."""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import numpy as np

from fdl import data, tasks
from fdl.learner import State
from fdl.runs.environment import made_with
from fdl.runs.folder import RunFolder, fresh_path
from fdl.runs.lock import held
from fdl.runs.loggers import Listeners, Logger, make_loggers
from fdl.runs.novelty import keep_detector
from fdl.runs.run import Run, provenance, record, require_unseen
from fdl.runs.seen import keep_seen, require_new, seen_of
from fdl.runs.selection import require_held_out, require_measure
from fdl.runs.settings import configured
from fdl.runs.start import Start, start_from
from fdl.tasks import Config, Task, Trained
from fdl.train import DivergenceError, EarlyStopping, Epoch, FitResult, evaluate, fit

_CHUNKS = 10  # reports in an epoch


class Plan(NamedTuple):
    """What is known of a training before its first update.

    Attributes:
        path: Folder of the run.
        config: Its settings.
        info: What its data are.
        parameters: Number of its parameters.
        steps: Updates in an epoch.
        made: Updates that were made already, of a training that goes on.
    """

    path: Path
    config: Config
    info: data.DatasetInfo
    parameters: int
    steps: int
    made: int


def train(
    task: str | Task | Config,
    *,
    model: Any = None,
    path: Path | str | None = None,
    data_dir: Path | str | None = None,
    init_from: Path | str | None = None,
    overwrite: bool = False,
    early_stopping: int | None = None,
    loggers: Sequence[Logger | str] = (),
    on_start: Callable[[Plan], None] | None = None,
    on_chunk: Callable[[int, dict[str, float], State], Any] | None = None,
    on_epoch: Callable[[Epoch, State], Any] | None = None,
    on_finish: Callable[[], None] | None = None,
    seconds: Mapping[str, float] = MappingProxyType({}),
    **settings: Any,
) -> Run:
    """Train a task; keep weights, metrics and pictures in a folder.

    The same settings with the same data and versions give the same weights.

    Args:
        task: Name of a task, or a task of your own, or all settings of a run.
        model: Of a task that trains a model of yours: a Linen module, or what makes one
            of `num_classes`, or `MODULE:NAME` of such, which is imported.
        path: Folder of the run; None for a new one below `runs`.
        data_dir: Folder to look for the data in, before the usual places.
        init_from: Weights to start from instead of random ones: the folder of a run, or
            a .keras or .weights.h5 file. The model that they are from must be the
            task's; of a run with another number of classes, what depends on it is drawn
            anew (`Run.drawn_anew`).
        overwrite: Replace the run that is in the folder.
        early_stopping: Epochs without a better value of the task's metric on the
            validation part after which training stops, at least 1; the run is then that
            of the best epoch. None to train to the end and keep the last.
        loggers: Who is told how it goes, besides the folder: `"tensorboard"`,
            `"wandb"`, or any `fdl.runs.Logger`.
        on_start: Called before the first update with what is to be trained.
        on_chunk: Called ten times an epoch with the number of updates made so far, the
            epoch's training metrics so far, and the state, which is only valid during
            the call.
        on_epoch: Called after each epoch with its line and the state, likewise. What
            returns True ends the training.
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
        RunError: If something else is in the folder.
        ValueError: If a setting is unknown or out of range, or there is nothing to
            choose the best epoch by.

    Example:
        >>> import fdl.runs, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = fdl.runs.train("mlp", dataset="mnist-5k", epochs=1, path=folder)
        >>> run.history[-1].step
        105
    """
    found, config = configured(task, model, settings, data_dir)
    listening = make_loggers(loggers)
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
    if init_from is not None:
        start = start_from(found, trained, Path(init_from))
        require_unseen(dataset.info, start.trained_on, init_from)
        require_new(dataset, start.seen, init_from, training=True)
    name = f"{config.task}-{data.short_name(config.dataset)}"
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
    }
    folder = RunFolder.create(
        fresh_path(Path("runs"), name) if path is None else Path(path),
        about,
        overwrite=overwrite,
    )
    keep_seen(folder.path, seen_of(dataset, start.seen))
    job = Job(
        found,
        trained,
        dataset,
        folder,
        where,
        stopping,
        listening,
        on_start,
        on_chunk,
        on_epoch,
        on_finish,
    )
    with held(folder.path):
        return job.run(start.state, seconds=spent)


@dataclasses.dataclass(frozen=True)
class Job:
    """A training that is set up: new, or one that goes on.

    Attributes:
        task: What is trained.
        trained: The run before training.
        dataset: Its data, prepared.
        folder: Its folder, with its `config.json`.
        data_dir: Folder of the data, if one was given.
        stopping: When to stop early; None for never.
        loggers: Who is told how it goes.
        on_start: As for `train`.
        on_chunk: As for `train`.
        on_epoch: As for `train`.
        on_finish: As for `train`.
    """

    task: Task
    trained: Trained
    dataset: data.Dataset
    folder: RunFolder
    data_dir: Path | None
    stopping: EarlyStopping | None
    loggers: Sequence[Logger]
    on_start: Callable[[Plan], None] | None
    on_chunk: Callable[[int, dict[str, float], State], Any] | None
    on_epoch: Callable[[Epoch, State], Any] | None
    on_finish: Callable[[], None] | None

    def run(
        self,
        state: State | None,
        *,
        history: Sequence[Epoch] = (),
        best: State | None = None,
        seconds: Mapping[str, float],
    ) -> Run:
        """Train to the end, measure, and write the results.

        Args:
            state: Where to start; None for random parameters.
            history: The epochs that `state` has made.
            best: The state after the best of these; None if that is `state`.
            seconds: What time went into before.
        """
        listeners = Listeners(self.loggers, self.folder.path)
        with listeners.listening(self.folder.config()):
            return self._run(state, history, best, seconds, listeners)

    def _run(
        self,
        state: State | None,
        history: Sequence[Epoch],
        best: State | None,
        seconds: Mapping[str, float],
        listeners: Listeners,
    ) -> Run:
        task, dataset, folder = self.task, self.dataset, self.folder
        config, learner = self.trained.config, self.trained.learner
        steps = -(-dataset.info.train_count // config.batch_size)
        lines = list(history)

        def after_epoch(line: Epoch, state: State) -> Any:
            lines.append(line)
            folder.log(line, state, best=best_step(self.stopping, lines))
            stop = None if self.on_epoch is None else self.on_epoch(line, state)
            now = dataclasses.replace(self.trained, state=state)
            task.draw(now, dataset, folder.path, line.epoch)
            listeners.epoch(line, state)
            return stop

        if self.on_start is not None:
            parameters = _parameters(self.trained.state)
            made = history[-1].step if history else 0
            self.on_start(
                Plan(folder.path, config, dataset.info, parameters, steps, made)
            )
        try:
            fitted = fit(
                learner,
                dataset.train,
                epochs=config.epochs,
                batch_size=config.batch_size,
                key=jax.random.key(config.seed),
                validation_data=dataset.validation,
                early_stopping=self.stopping,
                state=state,
                history=history,
                best=best,
                steps_per_chunk=max(1, steps // _CHUNKS),
                on_chunk=self.on_chunk,
                on_epoch=after_epoch,
            )
        except DivergenceError as error:
            folder.save(error.state)
            raise
        if self.on_finish is not None:
            self.on_finish()
        started = time.perf_counter()
        trained = dataclasses.replace(self.trained, state=fitted.state)
        if self.stopping is not None:
            folder.save(fitted.state)  # of the best epoch, rather than the last
        # The only look at the test set, when nothing is left to choose.
        measured = evaluate(learner, fitted.state, dataset.test)
        measured |= task.finish(trained, dataset, folder.path)
        novelty = keep_detector(folder.path, task, dataset)
        finish = time.perf_counter() - started
        spent = {**seconds, **fitted.seconds, "finish": finish}
        made = fitted.history[-1].step - (history[-1].step if history else 0)
        result = _result(trained, fitted, measured, spent, made) | novelty
        folder.write_json("result.json", result)
        name = f"{config.task}-{data.short_name(config.dataset)}"
        _draw_curves(folder.path / "curves", name, fitted, task.loss_unit)
        listeners.result(result)
        return Run(
            config,
            dataset.info,
            trained.model,
            learner,
            fitted.state,
            task=task,
            path=folder.path,
            data_dir=self.data_dir,
            history=fitted.history,
            result=result,
            **provenance(folder.config()),
        )


def best_step(stopping: EarlyStopping | None, lines: Sequence[Epoch]) -> int | None:
    """Return the number of updates after the best epoch; None where none is chosen."""
    if stopping is None:
        return None
    sign = 1 if stopping.mode == "max" else -1
    values = [sign * line.validation[stopping.monitor] for line in lines]
    return lines[int(np.nanargmax(values))].step if np.isfinite(values).any() else None


def stopping_of(task: Task, trained: Trained, patience: int) -> EarlyStopping:
    """Return when to stop, after checking that it can be told."""
    require_measure(task, trained, "early_stopping")
    if patience < 1:
        raise ValueError(f"early_stopping={patience} must be at least 1.")
    return EarlyStopping(task.metric, task.mode, patience)


def _result(
    trained: Trained,
    fitted: FitResult,
    measured: dict[str, float],
    seconds: dict[str, float],
    steps: int,
) -> dict[str, Any]:
    last = fitted.history[-1]
    best = fitted.history[fitted.epoch - fitted.history[0].epoch]
    config, info = trained.config, trained.info
    return {
        "task": config.task,
        "options": json.loads(json.dumps(dataclasses.asdict(config.options))),
        "dataset": info.name,
        "counts": {
            "train": info.train_count,
            "validation": info.validation_count,
            "test": info.test_count,
        },
        "checksum": info.checksum,
        "parameters": _parameters(fitted.state),
        "epochs": fitted.epoch,
        "epochs_trained": last.epoch,
        "seed": config.seed,
        "metrics": measured,
        "validation": best.validation,
        "seconds": seconds,
        "steps_per_second": steps / seconds["train"] if steps else None,
        **made_with(),
    }


def _parameters(state: State) -> int:
    return sum(x.size for x in jax.tree.leaves(state.params))


def _draw_curves(
    path: Path, name: str, fitted: FitResult, loss_unit: str | None
) -> None:
    from fdl import report  # matplotlib takes half a second, wanted only here

    def curves(which: str) -> dict[str, list[float]]:
        lines = [getattr(line, which) for line in fitted.history]
        return {metric: [line[metric] for line in lines] for metric in lines[0]}

    report.draw_curves(
        path,
        curves("train"),
        curves("validation"),
        title=name,
        loss_unit=loss_unit,
    )

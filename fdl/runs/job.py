"""A training that is set up, new or begun: go through it, keep what comes of it."""

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from fdl import data
from fdl.learner import State
from fdl.metrics import Metrics
from fdl.runs.checkpoints import Checkpoint
from fdl.runs.environment import made_with
from fdl.runs.folder import RunFolder
from fdl.runs.loggers import Listeners, Logger
from fdl.runs.novelty import keep_detector
from fdl.runs.run import Run, provenance
from fdl.runs.selection import require_measure
from fdl.runs.signals import Interrupted, put_off, told_to_stop
from fdl.runs.weights import save_weights
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


def ignore(*_: Any) -> None:
    """Do nothing: the callback of those who give none."""


class Callbacks(NamedTuple):
    """Who is called as a training goes on, as `fdl.runs.train` describes them."""

    on_start: Callable[[Plan], Any] = ignore
    on_chunk: Callable[[int, dict[str, float], State], Any] = ignore
    on_epoch: Callable[[Epoch, State], Any] = ignore
    on_finish: Callable[[], Any] = ignore


@dataclasses.dataclass(frozen=True)
class Job:
    """A training that is set up.

    Attributes:
        task: What is trained.
        trained: The run before training.
        dataset: Its data, prepared.
        folder: Its folder, with its `config.json`.
        data_dir: Folder of the data, if one was given.
        stopping: When to stop early; None for never.
        loggers: Who is told how it goes.
        minutes: Time between two checkpoints, at most, but for a few updates.
        callbacks: Who is called as it goes on.
    """

    task: Task
    trained: Trained
    dataset: data.Dataset
    folder: RunFolder
    data_dir: Path | None
    stopping: EarlyStopping | None
    loggers: Sequence[Logger]
    minutes: float
    callbacks: Callbacks

    def run(
        self,
        start: Checkpoint | None,
        *,
        best: State | None = None,
        seconds: Mapping[str, float],
    ) -> Run:
        """Train to the end, measure, and write the results.

        Args:
            start: Where to start; None for random parameters.
            best: The state after the best of its epochs; None if that is its own.
            seconds: What time went into before.

        Raises:
            DivergenceError: If a loss or a parameter is no longer finite.
            Interrupted: If a signal ended it; what was made is kept.
        """
        listeners = Listeners(self.loggers, self.folder.path)
        with listeners.listening(self.folder.config()):
            fitted = self._fit(start, best, listeners)
            self.callbacks.on_finish()
            before = 0 if start is None else start.step
            made = fitted.history[-1].step - before
            result = self._finish(fitted, seconds, made)
            listeners.result(result)
        return Run(
            self.trained.config,
            self.dataset.info,
            self.trained.model,
            self.trained.learner,
            fitted.state,
            task=self.task,
            path=self.folder.path,
            data_dir=self.data_dir,
            history=fitted.history,
            result=result,
            **provenance(self.folder.config()),
        )

    def _fit(
        self, start: Checkpoint | None, best: State | None, listeners: Listeners
    ) -> FitResult:
        """Train to the end; the folder keeps how far it is."""
        task, dataset, folder = self.task, self.dataset, self.folder
        config = self.trained.config
        steps = -(-dataset.info.train_count // config.batch_size)
        history = () if start is None else start.history
        lines, saved = list(history), time.monotonic()
        plan = Plan(
            folder.path,
            config,
            dataset.info,
            num_parameters(self.trained.state),
            steps,
            0 if start is None else start.step,
        )

        def keep(state: State, sums: Metrics | None = None) -> None:
            nonlocal saved
            folder.keep(Checkpoint(state, tuple(lines), sums), best=self._best(lines))
            saved = time.monotonic()

        def stop_if_told(state: State) -> None:
            if told_to_stop():
                every = steps * config.epochs
                raise Interrupted(
                    f"interrupted after step {int(state.step):,} of {every:,}, which "
                    f"is saved; to go on: fdl train --resume {folder.path}"
                )

        def after_part(state: State, sums: Metrics) -> None:
            if told_to_stop() or time.monotonic() - saved >= 60 * self.minutes:
                keep(state, sums)
            stop_if_told(state)

        def after_epoch(line: Epoch, state: State) -> Any:
            lines.append(line)
            keep(state)
            enough = self.callbacks.on_epoch(line, state)
            now = dataclasses.replace(self.trained, state=state)
            task.draw(now, dataset, folder.path, line.epoch)
            listeners.epoch(line, state)
            stop_if_told(state)
            return enough

        self.callbacks.on_start(plan)
        try:
            with put_off():
                fitted = fit(
                    self.trained.learner,
                    dataset.train,
                    epochs=config.epochs,
                    batch_size=config.batch_size,
                    key=jax.random.key(config.seed),
                    validation_data=dataset.validation,
                    early_stopping=self.stopping,
                    state=None if start is None else start.state,
                    history=history,
                    best=best,
                    sums=None if start is None else start.sums,
                    steps_per_chunk=max(1, steps // _CHUNKS),
                    on_chunk=self.callbacks.on_chunk,
                    on_part=after_part,
                    on_epoch=after_epoch,
                )
        except DivergenceError as error:
            keep(error.state)
            raise
        if self.stopping is not None:
            save_weights(folder.weights, fitted.state)  # of the best epoch
        return fitted

    def _best(self, lines: Sequence[Epoch]) -> int | None:
        """Return the step of the best epoch; None where there is nothing to tell it."""
        by = EarlyStopping(self.task.metric, self.task.mode)
        if any(by.monitor not in line.validation for line in lines):
            return None
        best = by.best(lines)
        return None if best is None else best.step

    def _finish(
        self, fitted: FitResult, seconds: Mapping[str, float], made: int
    ) -> dict[str, Any]:
        """Measure the test set, draw, and write `result.json`; return what it says."""
        task, dataset, folder = self.task, self.dataset, self.folder
        started = time.perf_counter()
        trained = dataclasses.replace(self.trained, state=fitted.state)
        # The only look at the test set, when nothing is left to choose.
        measured = evaluate(trained.learner, fitted.state, dataset.test)
        measured |= task.finish(trained, dataset, folder.path)
        novelty = keep_detector(folder.path, task, dataset)
        finish = time.perf_counter() - started
        spent = {**seconds, **fitted.seconds, "finish": finish}
        result = _result(trained, fitted, measured, spent, made) | novelty
        _draw_curves(folder.path / "curves", trained.config, fitted, task.loss_unit)
        folder.write_json("result.json", result)
        return result


def stopping_of(task: Task, trained: Trained, patience: int) -> EarlyStopping:
    """Return when to stop, after checking that it can be told."""
    require_measure(task, trained, "early_stopping")
    if patience < 1:
        raise ValueError(f"early_stopping={patience} must be at least 1.")
    return EarlyStopping(task.metric, task.mode, patience)


def minutes_of(checkpoint_minutes: float) -> float:
    """Return the time between two checkpoints, after checking that it is one."""
    if not checkpoint_minutes > 0:
        raise ValueError(f"checkpoint_minutes={checkpoint_minutes} must be above 0.")
    return checkpoint_minutes


def num_parameters(state: State) -> int:
    """Return how many numbers are trained."""
    return sum(x.size for x in jax.tree.leaves(state.params))


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
        "parameters": num_parameters(fitted.state),
        "epochs": fitted.epoch,
        "epochs_trained": last.epoch,
        "seed": config.seed,
        "metrics": measured,
        "validation": best.validation,
        "seconds": seconds,
        "steps_per_second": steps / seconds["train"] if steps else None,
        **made_with(),
    }


def _draw_curves(
    path: Path, config: Config, fitted: FitResult, loss_unit: str | None
) -> None:
    from fdl import report  # matplotlib takes half a second, wanted only here

    def curves(which: str) -> dict[str, list[float]]:
        lines = [getattr(line, which) for line in fitted.history]
        return {metric: [line[metric] for line in lines] for metric in lines[0]}

    name = f"{config.task}-{data.short_name(config.dataset)}"
    report.draw_curves(
        path,
        curves("train"),
        curves("validation"),
        title=name,
        loss_unit=loss_unit,
    )

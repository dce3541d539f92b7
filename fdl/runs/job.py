"""Carry out a training, new or resumed, and save its results."""

import contextlib
import dataclasses
import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from fdl import data, processes
from fdl.learner import State
from fdl.metrics import Metrics
from fdl.runs.checkpoints import Checkpoint
from fdl.runs.finish import finish, num_frozen, num_parameters
from fdl.runs.folder import RunFolder
from fdl.runs.loggers import Listeners, Logger
from fdl.runs.own_files import noted
from fdl.runs.record import provenance
from fdl.runs.run import Run
from fdl.runs.saving import Saving
from fdl.runs.selection import require_measure
from fdl.runs.signals import defer_signals
from fdl.runs.weights import save_weights
from fdl.sharding import Shard, mesh_of, require_shard
from fdl.tasks import Config, Task, Trained
from fdl.train import DivergenceError, EarlyStopping, Epoch, FitResult, fit
from fdl.train.placement import Placement, whole_here

_CHUNKS = 10  # reports per epoch


class Plan(NamedTuple):
    """The facts about a training before its first update.

    Attributes:
        path: Folder of the run.
        config: Its settings.
        info: Description of its data.
        parameters: Number of its parameters.
        steps: Updates per epoch.
        made: Updates already made, if training is resumed.
        kept: Number of frozen parameters.
        init_from: The run or file that weights were taken from; None for random ones.
        newly_initialized: Names of the arrays that are random, not from there.
    """

    path: Path
    config: Config
    info: data.DatasetInfo
    parameters: int
    steps: int
    made: int
    kept: int = 0
    init_from: str | None = None
    newly_initialized: tuple[str, ...] = ()


def ignore(*_: Any) -> None:
    """Do nothing: the default callback."""


class Callbacks(NamedTuple):
    """The callbacks of a training; see `fdl.runs.train`."""

    on_start: Callable[[Plan], Any] = ignore
    on_chunk: Callable[[int, dict[str, float], State], Any] = ignore
    on_epoch: Callable[[Epoch, State], Any] = ignore
    on_finish: Callable[[], Any] = ignore


@dataclasses.dataclass(frozen=True)
class Job:
    """A training that is ready to start.

    Attributes:
        task: The task to train.
        trained: The run before training.
        dataset: Its data, prepared.
        folder: Its folder, with its `config.json`.
        data_dir: Folder of the data, if one was given.
        stopping: When to stop early; None for never.
        loggers: The loggers that follow it.
        minutes: Minutes between two checkpoints, give or take a few updates.
        callbacks: Its callbacks.
        placement: The devices to train on.
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
    placement: Placement

    def run(
        self,
        start: Checkpoint | None,
        *,
        best: State | None = None,
        seconds: Mapping[str, float],
    ) -> Run:
        """Train to the end, evaluate, and write the results.

        Args:
            start: The checkpoint to start from; None for random parameters.
            best: The state after the best of its epochs; None if that is its own.
            seconds: Time spent before training, by phase.

        Raises:
            DivergenceError: If a loss or a parameter becomes non-finite.
            Interrupted: If a signal ended it; the progress is saved.
        """
        loggers = self.loggers if processes.is_first() else ()
        listeners = Listeners(loggers, self.folder.path)
        history = () if start is None else start.history
        best_by = EarlyStopping(self.task.metric, self.task.mode)
        saving = Saving(self.folder, history, minutes=self.minutes, best=best_by)
        with listeners.listening(self.folder.config()):
            self.callbacks.on_start(self._plan(start))
            with saving:
                try:
                    fitted = self._fit(start, best, saving, listeners)
                except DivergenceError as error:
                    good = whole_here(error.state)
                    if not saving.folder.replaces:
                        saving.keep(good)
                    raise
            folder = saving.folder.settle()
            self.callbacks.on_finish()
            before = 0 if start is None else start.step
            result = None
            if processes.is_first():
                # Early stopping may have chosen another epoch than the last; or a kill
                # came before these were written.
                save_weights(folder.weights, fitted.state)
                result = finish(
                    self.task,
                    dataclasses.replace(self.trained, state=fitted.state),
                    self.dataset,
                    folder,
                    fitted,
                    seconds=seconds,
                    steps=fitted.history[-1].step - before,
                )
            result = json.loads(processes.first_says(json.dumps(result)))
            listeners.result(result)
        return Run(
            self.trained.config,
            self.dataset.info,
            self.trained.model,
            self.trained.learner,
            fitted.state,
            task=self.task,
            path=folder.path,
            data_dir=self.data_dir,
            history=fitted.history,
            result=result,
            epoch=int(fitted.epoch),
            **provenance(folder.config()),
        )

    def _draw(self, state: State, epoch: int) -> None:
        """Draw the task's pictures after an epoch."""
        if not processes.is_first():
            return
        now, path = dataclasses.replace(self.trained, state=state), self.folder.path
        with noted(path):
            self.task.draw(now, self.dataset, path, epoch)

    def _plan(self, start: Checkpoint | None) -> Plan:
        said = self.folder.config()
        return Plan(
            self.folder.path,
            self.trained.config,
            self.dataset.info,
            num_parameters(self.trained.state),
            self._steps,
            0 if start is None else start.step,
            num_frozen(self.trained),
            said.get("init_from"),
            provenance(said)["newly_initialized"],
        )

    @property
    def _steps(self) -> int:
        return -(-self.dataset.info.train_count // self.trained.config.batch_size)

    def _fit(
        self,
        start: Checkpoint | None,
        best: State | None,
        saving: Saving,
        listeners: Listeners,
    ) -> FitResult:
        """Train to the end, or until a signal stops it."""
        config = self.trained.config
        if start is not None and start.history[-1:] and start.sums is None:
            # A kill may have come before the pictures of the last epoch.
            self._draw(start.state, start.history[-1].epoch)
        waiting = contextlib.ExitStack()
        # Not before there is progress to lose: compiling may take a minute.
        wait = functools.cache(lambda: waiting.enter_context(defer_signals()))

        def after_part(state: State, sums: Metrics) -> None:
            wait()
            saving.after_part(state, sums)

        def after_epoch(line: Epoch, state: State) -> Any:
            wait()
            state = whole_here(state)
            saving.after_epoch(line, state)
            enough = self.callbacks.on_epoch(line, state)
            self._draw(state, line.epoch)
            listeners.epoch(line, state)
            saving.stop_if_told(state)
            return enough

        train, validation = bucketed(self.task, self.dataset, config)
        with waiting:
            fitted = fit(
                self.trained.learner,
                train,
                epochs=config.epochs,
                batch_size=config.batch_size,
                key=jax.random.key(config.seed),
                validation_data=validation,
                early_stopping=self.stopping,
                state=None if start is None else start.state,
                history=() if start is None else start.history,
                best=best,
                sums=None if start is None else start.sums,
                mesh=self.placement.mesh,
                shard=self.placement.shard,
                steps_per_chunk=max(1, self._steps // _CHUNKS),
                on_chunk=self.callbacks.on_chunk,
                on_part=after_part,
                on_epoch=after_epoch,
            )
            state = whole_here(fitted.state)
            if self.placement.mesh is not None:  # the rest runs on one device
                state = jax.device_put(state, jax.local_devices()[0])
            return fitted._replace(state=state)


def bucketed(task: Task, dataset: data.Dataset, config: Config) -> tuple[Any, Any]:
    """Return training and validation examples as the task feeds them to training."""
    train = task.bucket(dataset.train, config)
    if dataset.validation is None:
        return train, None
    return train, task.bucket(dataset.validation, config)


def placed(devices: int | None, shard: Shard, batch_size: int) -> Placement:
    """Return the devices of a training, after checking that they can share a batch.

    Several processes use all of their devices.
    """
    require_shard(shard)
    if processes.count() > 1:
        there = jax.device_count()
        if devices not in (None, there):
            raise ValueError(
                f"devices={devices}, but the processes have {there} in total, and use "
                "all of them: leave it out."
            )
        devices = there
    if devices is None:
        return Placement()
    placement = Placement(mesh_of(devices), shard)
    placement.require_divisible(batch_size)
    return placement


def stopping_of(task: Task, trained: Trained, patience: int) -> EarlyStopping:
    """Return when to stop, after checking that the task has a metric for it."""
    require_measure(task, trained, "early_stopping")
    if patience < 1:
        raise ValueError(f"early_stopping={patience} must be at least 1.")
    return EarlyStopping(task.metric, task.mode, patience)


def minutes_of(checkpoint_minutes: float) -> float:
    """Return the time between two checkpoints, after checking its range."""
    if not checkpoint_minutes > 0:
        raise ValueError(f"checkpoint_minutes={checkpoint_minutes} must be above 0.")
    return checkpoint_minutes

"""`fdl train`."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tyro

import fdl
from fdl.cli import STARTED
from fdl.cli.command import (
    AnswerIsNoError,
    OfRun,
    OptionalInt,
    OptionalPath,
    out,
    say_what_is_read,
    unset,
)
from fdl.cli.joining import Joining
from fdl.cli.progress import TrainingProgress
from fdl.cli.signals import saying_how_to_resume
from fdl.cli.task_command import ToTrain, for_each_task
from fdl.files import json_text
from fdl.plain import CHECKPOINT_MINUTES, PICTURE_FORMATS
from fdl.processes import is_first
from fdl.runs.words import shown


@dataclasses.dataclass(frozen=True)
class Train(Joining, ToTrain):
    """Train a model on a data set; weights, metrics and pictures go to a run folder.

    Resume an interrupted run with `fdl train --resume RUN`.

    Attributes:
        init_from: Weights to start from: a run folder, or a .keras, .h5 or .safetensors
            file. They must match the task's model except for the head: layers for other
            classes, or missing from a file, are initialized at random.
        run: Run folder.
        overwrite: Replace the run in the folder once the new one has finished an epoch;
            other files in it stay.
        early_stopping: Stop after this many epochs without a better value on the
            validation set, and keep the best epoch.
        log: Loggers in addition to the run folder: tensorboard or wandb.
        checkpoint_minutes: Minutes between checkpoints within an epoch, in addition to
            the one after each epoch.
        devices: Number of devices to shard each batch over; a CPU is split into as
            many.
        shard: What to shard over the devices: batch, or batch+state, also called fsdp.
    """

    init_from: Annotated[OptionalPath, unset("default: random weights")] = None
    run: Annotated[OptionalPath, unset("default: a new one in runs")] = None
    overwrite: bool = False
    early_stopping: Annotated[OptionalInt, unset("default: train to the end")] = None
    log: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="NAME"), unset("default: none")
    ] = ()
    checkpoint_minutes: float = CHECKPOINT_MINUTES
    devices: Annotated[OptionalInt, unset("default: one")] = None
    shard: Literal["batch", "batch+state", "fsdp"] = "batch"

    def __call__(self) -> None:
        """Train."""
        if self.processes is None:  # several processes bring their own
            _ask_for(self.devices)
        _train(
            self,
            lambda **watch: fdl.runs.train(
                **self.trained(),
                path=self.run,
                data_dir=self.data.data_dir,
                init_from=self.init_from,
                overwrite=self.overwrite,
                early_stopping=self.early_stopping,
                loggers=self.log,
                checkpoint_minutes=self.checkpoint_minutes,
                devices=self.devices,
                shard="batch+state" if self.shard == "fsdp" else self.shard,
                **watch,
            ),
        )


@dataclasses.dataclass(frozen=True)
class Resume(Joining, OfRun):
    """Resume an interrupted run from its last intact checkpoint.

    It ends as if it had not been interrupted.

    Attributes:
        resume: Run folder.
        data_dir: Folder to search for the data.
        allow_changes: Resume even with other versions of Python or packages, another
            kind of device, or other flags; the result may then differ.
        checkpoint_minutes: Minutes between checkpoints within an epoch, in addition to
            the one after each epoch.
        devices: Number of devices; changing it needs --allow-changes.
    """

    resume: Annotated[Path, tyro.conf.arg(metavar="RUN")]
    data_dir: Annotated[OptionalPath, unset("default: that of the run")] = None
    allow_changes: bool = False
    checkpoint_minutes: float = CHECKPOINT_MINUTES
    devices: Annotated[OptionalInt, unset("default: those of the run")] = None

    resumes: ClassVar[str | None] = "run"

    def __call__(self) -> None:
        """Resume."""
        if self.processes is None:
            said = fdl.runs.RunFolder.begun(self.resume).config()
            _ask_for(said.get("devices") if self.devices is None else self.devices)
        _train(self, self._resume, begun=self.resume)

    def _resume(self, **watch: Any) -> Any:
        if is_first():
            said = fdl.runs.RunFolder.begun(self.resume).config()
            place = said.get("data_dir") if self.data_dir is None else None
            say_what_is_read(self.resume, said.get("dataset"), place)
        return fdl.runs.resume(
            self.resume,
            model=self.model,
            task=self.task,
            data_dir=self.data_dir,
            allow_changes=self.allow_changes,
            checkpoint_minutes=self.checkpoint_minutes,
            devices=self.devices,
            **watch,
        )


def _ask_for(devices: Any) -> None:
    """Split a CPU into this many devices, before JAX counts them."""
    if isinstance(devices, int) and devices > 1:
        from fdl.sharding import ask_for

        ask_for(devices)


def _train(
    command: "Train | Resume", train: Callable[..., Any], begun: Path | None = None
) -> None:
    """Train, show progress, and print the result.

    Args:
        command: The command, with its options for output and for several processes.
        train: Takes the callbacks of `fdl.runs.train` by name, and returns a run.
        begun: Run folder, if it exists already.
    """
    with command.joined():
        says, run = is_first(), _watched(command, train, begun)
    if says and command.json:
        print(json_text({"path": str(run.path)} | run.result))
    elif says:
        out.print(*_summary(run), sep="\n", soft_wrap=True)


def _watched(
    command: "Train | Resume", train: Callable[..., Any], begun: Path | None
) -> Any:
    """Train, show progress, and return the run."""
    from fdl.pixels import picture_format

    progress = TrainingProgress(command.quiet or not is_first())

    def resume_command() -> str | None:
        path = begun if progress.plan is None else progress.plan.path
        return None if path is None else f"fdl train --resume {path}"

    with progress, picture_format(command.format):
        try:
            with saying_how_to_resume(resume_command, command.named_again):
                return train(
                    on_start=progress.on_start,
                    on_chunk=progress.on_chunk,
                    on_epoch=progress.on_epoch,
                    on_finish=progress.on_finish,
                    seconds={"import": time.perf_counter() - STARTED},
                )
        except fdl.DivergenceError as error:
            raise AnswerIsNoError(str(error)) from error


def _summary(run: Any) -> list[str]:
    """Return lines with a run's result, the epoch it kept, and the files it wrote."""
    metric, result = run.task.metric, run.result
    lines = [
        f"test {metric} {shown(metric, run.metrics[metric])} on {run.info.title} "
        f"({run.info.test_count:,} examples)"
    ]
    if (simple := run.metrics.get(f"baseline_{metric}")) is not None:
        lines.append(f"{run.task.baseline} reaches {shown(metric, simple)}")
    if result["epochs"] < result["epochs_trained"]:
        lines.append(
            f"kept epoch {result['epochs']} of {result['epochs_trained']}, the best on "
            "the validation set"
        )
    if run.newly_initialized:
        names = ", ".join(run.newly_initialized)
        lines.append(f"initialized at random, for a new head: {names}")
    if "unknown" in run.trained_on:
        lines.append(
            "the initial weights do not record what they were trained on; if that "
            "includes the test images, the result above means nothing"
        )
    written = {"run folder": run.path} | {
        file.name: file
        for file in sorted(run.path.iterdir())
        if file.suffix
        in (".gif", ".html", ".mid", *(f".{name}" for name in PICTURE_FORMATS))
    }
    width = max(map(len, written)) + 2
    return lines + [f"{what:<{width}}{path}" for what, path in written.items()]


def commands(own: str | None = None) -> Any:
    """Return `fdl train TASK` for each task, or a command for the user's own."""
    return for_each_task(Train, "Train the {}.", own)

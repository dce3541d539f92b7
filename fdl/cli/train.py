"""`fdl train`."""

import dataclasses
from typing import Annotated, Any

import tyro

from fdl import runs
from fdl.cli.command import OptionalInt, OptionalPath, out
from fdl.cli.progress import TrainingProgress
from fdl.cli.task_command import ToTrain, for_each_task
from fdl.runs.environment import since_process_start
from fdl.runs.words import shown


@dataclasses.dataclass(frozen=True)
class Train(ToTrain):
    """Train a model on a data set; keep weights, metrics and pictures in a folder.

    Attributes:
        init_from: Weights to start from instead of random ones: the folder of a run, or
            a .keras or .weights.h5 file; the model must be the task's. Of a run with
            another number of classes, what depends on it is drawn anew.
        run: Folder of the run; a new one below `runs` if not given.
        overwrite: Replace the run that is in the folder.
        early_stopping: Stop after so many epochs without a better value on the
            validation part, and keep the best epoch; train to the end if not given.
        log: Who is told how it goes, besides the folder: tensorboard or wandb.
    """

    init_from: OptionalPath = None
    run: OptionalPath = None
    overwrite: bool = False
    early_stopping: OptionalInt = None
    log: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME")] = ()

    def __call__(self) -> None:
        """Train."""
        seconds = {"import": since_process_start()}
        config = self.config()
        with TrainingProgress(config) as progress:
            run = runs.train(
                config,
                path=self.run,
                data_dir=self.data_dir,
                init_from=self.init_from,
                overwrite=self.overwrite,
                early_stopping=self.early_stopping,
                loggers=self.log,
                on_start=progress.on_start,
                on_chunk=progress.on_chunk,
                on_epoch=progress.on_epoch,
                seconds=seconds,
            )
        written = {"run folder": run.path} | {
            file.name: file
            for file in sorted(run.path.iterdir())
            if file.suffix in (".png", ".gif")
        }
        width = max(map(len, written)) + 2
        metric = run.task.metric
        out.print(
            f"test {metric} {shown(metric, run.metrics[metric])} on {run.info.name} "
            f"({run.info.test_count:,} examples)",
            *self._kept(run),
            *_begun(run),
            *(f"{what:<{width}}{path}" for what, path in written.items()),
            sep="\n",
            soft_wrap=True,
        )

    def _kept(self, run: runs.Run) -> list[str]:
        """Return which epoch was kept, where there was a choice."""
        if self.early_stopping is None or run.result is None:
            return []
        kept, trained = run.result["epochs"], run.result["epochs_trained"]
        return [f"kept epoch {kept} of {trained}, the best on the validation part"]


def _begun(run: runs.Run) -> list[str]:
    """Return what there is to say about the weights that a run began with."""
    lines = []
    if run.drawn_anew:
        lines.append(f"drawn anew, for other classes: {', '.join(run.drawn_anew)}")
    if runs.UNKNOWN in run.trained_on:
        lines.append(
            "the weights to start from do not say what they were trained on; if the "
            "test images were among it, the measure above means nothing"
        )
    return lines


def commands() -> Any:
    """Return `fdl train TASK` for each task, as a union of subcommands."""
    return for_each_task(Train, "Train the {}.")

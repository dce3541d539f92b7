"""`fdl train`."""

import dataclasses
from typing import Any

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
        init_from: Keras weights to start from, a .keras or .weights.h5 file, instead of
            random ones; the model that they are from must be the task's.
        run: Folder of the run; a new one below `runs` if not given.
        overwrite: Replace the run that is in the folder.
        patience: Stop after so many epochs without a better value on the validation
            part, and keep the best epoch; train to the end if not given.
    """

    init_from: OptionalPath = None
    run: OptionalPath = None
    overwrite: bool = False
    patience: OptionalInt = None

    def __call__(self) -> None:
        """Train."""
        seconds = {"import": since_process_start()}
        config = self.config()
        with TrainingProgress(config) as progress:
            run = runs.train(
                self.task,
                **self.settings(),
                model=self.model,
                path=self.run,
                data_dir=self.data_dir,
                init_from=self.init_from,
                overwrite=self.overwrite,
                patience=self.patience,
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
            f"test {metric} {shown(metric, run.metrics[metric])} on {run.info.title} "
            f"({run.info.test_count:,} examples)",
            *self._kept(run),
            *(f"{what:<{width}}{path}" for what, path in written.items()),
            sep="\n",
            soft_wrap=True,
        )

    def _kept(self, run: runs.Run) -> list[str]:
        """Return which epoch was kept, where there was a choice."""
        if self.patience is None or run.result is None:
            return []
        kept, trained = run.result["epochs"], run.result["epochs_trained"]
        return [f"kept epoch {kept} of {trained}, the best on the validation part"]


def commands(own: str | None) -> Any:
    """Return `fdl train TASK` for each task, or a command for one of the user's."""
    return for_each_task(Train, "Train the {}.", own)

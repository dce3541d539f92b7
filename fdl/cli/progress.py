"""A progress bar for training."""

from types import TracebackType

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from fdl import data
from fdl.cli.command import err
from fdl.tasks import Config
from fdl.train import Epoch


class TrainingProgress:
    """A bar over all steps of a run, and a line for each epoch, on standard error."""

    def __init__(self, config: Config) -> None:
        """Describe the run; the bar appears when training begins."""
        self._name, self._epochs = (
            f"{config.task}-{data.short_name(config.dataset)}",
            config.epochs,
        )
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=err,
        )

    def __enter__(self) -> "TrainingProgress":
        """Begin to watch."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar as it is."""
        if self._progress.live.is_started:
            self._progress.stop()

    def on_start(self, steps: int) -> None:
        """Show the bar."""
        self._bar = self._progress.add_task(self._name, total=steps, note="compiling")
        self._progress.start()

    def on_chunk(self, step: int, metrics: dict[str, float]) -> None:
        """Move the bar."""
        note = f"loss {metrics['loss']:.4f}" if "loss" in metrics else ""
        self._progress.update(self._bar, completed=step, note=note)

    def on_epoch(self, line: Epoch) -> None:
        """Print an epoch's line."""
        measured = [f"train {name} {value:.4f}" for name, value in line.train.items()]
        measured += [
            f"validation {name} {value:.4f}" for name, value in line.validation.items()
        ]
        self._progress.console.print(
            f"epoch {line.epoch}/{self._epochs}  {'  '.join(measured)}"
            f"  {line.seconds:.1f} s",
            soft_wrap=True,
        )

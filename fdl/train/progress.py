"""Progress of `fit`: a bar in a terminal or notebook, and a line for each epoch."""

from types import TracebackType
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from fdl.console import SteadyConsole
from fdl.learner import State
from fdl.train.evaluate import Measured
from fdl.train.results import Epoch


class Shown:
    """A bar over all updates on standard error, if that is a terminal or notebook."""

    def __init__(self, epochs: int, steps: int) -> None:
        """Create the bar.

        Args:
            epochs: Number of epochs.
            steps: Total number of updates.
        """
        console = SteadyConsole(stderr=True, highlight=False)
        self._epochs = epochs
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not (console.is_terminal or console.is_jupyter),
        )
        self._bar = self._progress.add_task("compiling", total=steps)

    def __enter__(self) -> "Shown":
        """Show the bar."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop updating the bar."""
        self._progress.stop()

    def on_chunk(self, step: int, metrics: Measured, state: State) -> None:
        """Move the bar."""
        epoch = f"training{_words('', metrics)}"
        self._progress.update(self._bar, completed=step, description=epoch)

    def on_epoch(self, line: Epoch, state: State) -> None:
        """Print a line for an epoch."""
        self._progress.console.print(
            f"epoch {line.epoch}/{self._epochs}{_words('train ', line.train)}"
            f"{_words('validation ', line.validation)}  {line.seconds:.1f} s",
            soft_wrap=True,
        )


def _words(part: str, measured: Measured) -> str:
    """Format metrics; for many members, their mean."""
    words = ""
    for name, value in measured.items():
        mean: Any = value.mean() if hasattr(value, "mean") else value
        words += f"  {part}{name} {mean:.4f}"
    return words

"""When a training is saved: after epochs, every few minutes, and when it is to stop."""

import time
from collections.abc import Sequence

from fdl.learner import State
from fdl.metrics import Metrics
from fdl.runs.checkpoints import Checkpoint
from fdl.runs.folder import RunFolder
from fdl.runs.signals import Interrupted, told_to_stop
from fdl.train import EarlyStopping, Epoch


class Saving:
    """Keeps how far a training is, in its folder.

    Attributes:
        folder: The folder.
        lines: The epochs that were made.
    """

    def __init__(
        self,
        folder: RunFolder,
        history: Sequence[Epoch],
        *,
        minutes: float,
        best: EarlyStopping,
    ) -> None:
        """Begin to count the time.

        Args:
            folder: The folder.
            history: The epochs that were made.
            minutes: Time between two checkpoints within an epoch.
            best: What tells which epoch is the best, where it is measured.
        """
        self.folder, self.lines = folder, list(history)
        self._minutes, self._best = minutes, best
        self._saved = time.monotonic()

    def after_part(self, state: State, sums: Metrics) -> None:
        """Save a state within an epoch, if it is time or the training is to stop."""
        minutes = (time.monotonic() - self._saved) / 60
        if told_to_stop() or minutes >= self._minutes:
            self.keep(state, sums)
        self.stop_if_told(state)

    def after_epoch(self, line: Epoch, state: State) -> None:
        """Save a state after an epoch; the first replaces the run there was before."""
        self.lines.append(line)
        self.keep(state)
        self.folder = self.folder.settle()

    def keep(self, state: State, sums: Metrics | None = None) -> None:
        """Save a state."""
        moment = Checkpoint(state, tuple(self.lines), sums)
        self.folder.keep(moment, best=self._best_step())
        self._saved = time.monotonic()

    def stop_if_told(self, state: State) -> None:
        """Raise Interrupted if a signal waits; the state must have been saved."""
        if told_to_stop():
            raise Interrupted(
                f"interrupted after step {int(state.step):,}, which is saved; to go "
                f"on: fdl train --resume {self.folder.path}"
            )

    def _best_step(self) -> int | None:
        """Return the step of the best epoch; None where there is nothing to tell it."""
        if any(self._best.monitor not in line.validation for line in self.lines):
            return None
        line = self._best.best(self.lines)
        return None if line is None else line.step

"""Save a training: after epochs, every few minutes, and when told to stop."""

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from fdl.arrays import PyTree
from fdl.learner import State
from fdl.metrics import Metrics
from fdl.processes import any_says, is_first
from fdl.runs.checkpoints import Checkpoint
from fdl.runs.folder import RunFolder
from fdl.runs.signals import Interrupted, told_to_stop
from fdl.runs.states import is_key
from fdl.train import EarlyStopping, Epoch
from fdl.train.placement import whole_here


class Saving:
    """Saves the progress of a training in its folder.

    A state is copied, and a thread writes it. The end of a `with` block waits for the
    thread; its errors are raised there, or when the next state is saved.

    Attributes:
        folder: The folder.
        lines: The epochs made so far.
    """

    def __init__(
        self,
        folder: RunFolder,
        history: Sequence[Epoch],
        *,
        minutes: float,
        best: EarlyStopping,
    ) -> None:
        """Start the clock.

        Args:
            folder: The folder.
            history: The epochs made before.
            minutes: Minutes between two checkpoints within an epoch.
            best: The rule for the best epoch, if its metric is measured.
        """
        self.folder, self.lines = folder, list(history)
        self._minutes, self._best = minutes, best
        self._saved = time.monotonic()
        self._writer = ThreadPoolExecutor(max_workers=1)
        self._written: Future[Any] | None = None

    def __enter__(self) -> "Saving":
        """Return the object itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Wait until all is written."""
        with self._writer:
            self.wait()

    def after_part(self, state: State, sums: Metrics) -> None:
        """Save a state within an epoch, if it is time or the training must stop."""
        minutes = (time.monotonic() - self._saved) / 60
        told = any_says(told_to_stop())
        if told or any_says(minutes >= self._minutes):
            self.keep(state, sums)
        self._stop(state, told)

    def after_epoch(self, line: Epoch, state: State) -> None:
        """Save a state after an epoch; the first one replaces an old run."""
        self.lines.append(line)
        self.keep(state)
        if self.folder.replaces:
            self.wait()
            self.folder = self.folder.settle()

    def keep(self, state: State, sums: Metrics | None = None) -> None:
        """Save a state, once the previous one is written; call it in all processes."""
        self._saved = time.monotonic()
        self.wait()
        state, sums = whole_here((state, sums))
        if not is_first():
            return
        moment = Checkpoint(_copy(state), tuple(self.lines), _copy(sums))
        best = self._best_step()
        self._written = self._writer.submit(self.folder.keep, moment, best=best)

    def wait(self) -> None:
        """Wait until all is written.

        Raises:
            RunError: If writing failed.
        """
        written, self._written = self._written, None
        if written is not None:
            written.result()

    def stop_if_told(self, state: State) -> None:
        """Raise Interrupted if a signal is pending; the state must have been saved.

        A signal to one process stops all of them.
        """
        self._stop(state, any_says(told_to_stop()))

    def _stop(self, state: State, told: bool) -> None:
        if told:
            raise Interrupted(
                f"interrupted after step {int(state.step):,}, which is saved; to "
                f"resume: fdl train --resume {self.folder.path}"
            )

    def _best_step(self) -> int | None:
        """Return the step of the best epoch; None if its metric is not measured."""
        if any(self._best.monitor not in line.validation for line in self.lines):
            return None
        line = self._best.best(self.lines)
        return None if line is None else line.step


def _copy(tree: PyTree) -> PyTree:
    """Copy arrays, since training takes over the memory of a state."""

    def copy(x: Any) -> Any:
        if not is_key(x):
            return np.array(x)
        words = jax.numpy.array(jax.random.key_data(x))
        return jax.random.wrap_key_data(words, impl=jax.random.key_impl(x))

    return jax.tree.map(copy, tree)

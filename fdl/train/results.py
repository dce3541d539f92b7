"""Results of training: a line of history for each epoch, and the trained state."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from fdl.learner import State
from fdl.train.evaluate import Measured


class Epoch(NamedTuple):
    """One line of a run's history.

    For many members, metrics are arrays with one number per member; NaN where a member
    was not trained in this epoch.

    Attributes:
        epoch: Number of passes over the training data made so far, from 1.
        step: Number of updates made so far.
        running: Whether the run, or each member, was trained and stayed finite.
        train: Training metrics by name, averaged over the updates of the epoch.
        validation: Metrics on the validation data after the epoch; empty without
            validation data.
        seconds: Wall-clock time of the epoch, with validation, without compilation; NaN
            if it was not measured.
        diverged: The update at which each member met a non-finite number, in this epoch
            or earlier, or -1.
    """

    epoch: int
    step: int
    running: bool | Bool[np.ndarray, " members"]
    train: Measured
    validation: Measured
    seconds: float
    diverged: int | Int[np.ndarray, " members"] = -1


class FitResult(NamedTuple):
    """The result of `fit`.

    Attributes:
        state: The trained state.
        epoch: Number of passes over the data that this state has seen.
        diverged: The update at which each member met a non-finite number, or -1.
        history: One `Epoch` for each pass over the data.
        seconds: Wall-clock seconds of the phases `compile`, `train` and `validation`.
    """

    state: State
    epoch: int | Int[np.ndarray, " members"]
    diverged: int | Int[np.ndarray, " members"]
    history: tuple[Epoch, ...]
    seconds: dict[str, float]

    def __repr__(self) -> str:
        """Return the state and the last epoch."""
        last = self.history[-1] if self.history else None
        return f"FitResult({self.state}, epoch={self.epoch}, last: {last})"


class DivergenceError(ArithmeticError):
    """A loss or a parameter became non-finite during training.

    Attributes:
        step: Index of the first bad update, from 0.
        state: The last good state, from before that update; or, with
            `fdl.data.Batches`, which cannot be repeated, from before its epoch.
        history: The epochs completed before.
    """

    def __init__(self, step: int, state: State, history: tuple[Epoch, ...]) -> None:
        """Build the message, with a remedy."""
        remedy = "try a smaller learning rate."
        if step == 0:  # no update has changed the parameters yet
            remedy = (
                "check the inputs for values that are too large and the targets for "
                "values out of range, or " + remedy
            )
        super().__init__(
            f"training diverged: a metric or parameter is not finite at step {step}; "
            + remedy
        )
        self.step = step
        self.state = state
        self.history = history

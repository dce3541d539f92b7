"""What training leaves: a line for each epoch, and the trained state."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from fdl.learner import State
from fdl.train.evaluate import Measured


class Epoch(NamedTuple):
    """One line of a run's history.

    With members, metrics are arrays with one number for each member, NaN where a member
    was not trained in this epoch.

    Attributes:
        epoch: Number of passes over the training data made so far, from 1.
        step: Number of updates made so far.
        running: Whether the run, or each member, was trained and stayed finite.
        train: Training metrics by name, averaged over the epoch while it went on.
        validation: Metrics on the validation data after the epoch; empty if there are
            none.
        seconds: Wall-clock time of the epoch, validation included, compilation not.
        diverged: The update at which a member met a number that is not finite, in this
            epoch or before, or -1.
    """

    epoch: int
    step: int
    running: bool | Bool[np.ndarray, " members"]
    train: Measured
    validation: Measured
    seconds: float
    diverged: int | Int[np.ndarray, " members"] = -1


class FitResult(NamedTuple):
    """What `fit` returns.

    Attributes:
        state: The trained state.
        epoch: Number of passes over the data that this state has seen.
        diverged: The update at which a member met a number that is not finite, or -1.
        history: One `Epoch` for each pass over the data.
        seconds: Wall-clock time by what it was spent on: `compile`, `train`,
            `validation`.
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
    """Training met a loss or a parameter that is not finite.

    Attributes:
        step: Index of the first bad update, from 0.
        state: The last good state: parameters are finite, as before that update.
        history: The epochs completed before.
    """

    def __init__(self, step: int, state: State, history: tuple[Epoch, ...]) -> None:
        """Keep what there is."""
        remedy = "try a smaller learning rate."
        if step == 0:  # no update has changed the parameters yet
            remedy = (
                "look for values that are too large in the inputs and for targets out "
                "of range, or " + remedy
            )
        super().__init__(
            f"training diverged: a metric or parameter is not finite at step {step}; "
            + remedy
        )
        self.step = step
        self.state = state
        self.history = history

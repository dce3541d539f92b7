"""Early stopping: the best epoch of a run, and when to stop."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from fdl.learner import State
from fdl.ranges import require_whole
from fdl.train.results import Epoch
from fdl.train.steps import choose


class EarlyStopping(NamedTuple):
    """Early stopping of a run (Prechelt, 1998), as in Keras.

    Attributes:
        monitor: Name of the validation metric to judge a run by.
        mode: Whether the best value is the largest (`"max"`) or smallest (`"min"`).
        patience: Number of epochs without improvement after which a run stops, at least
            1; None to train to the end, and only find the best epoch.
        restore_best: Whether to return the state of the best epoch instead of the last.
    """

    monitor: str
    mode: Literal["max", "min"] = "max"
    patience: int | None = None
    restore_best: bool = True

    def check(self, names: Mapping[str, Any] | None) -> None:
        """Raise ValueError unless these options fit the validation metrics.

        Args:
            names: The validation metrics; None without validation data.
        """
        if names is None:
            raise ValueError("early_stopping needs validation_data to judge a run by.")
        if self.mode not in ("max", "min"):
            raise ValueError(f"mode={self.mode!r} must be 'max' or 'min'.")
        require_whole("[1, inf) or None", patience=self.patience)
        if self.monitor not in names:
            raise ValueError(
                f"monitor={self.monitor!r} must be one of the learner's metrics: "
                f"{', '.join(names)}."
            )

    def best(self, history: Sequence[Epoch]) -> Epoch | None:
        """Return the best epoch of a single run; None if the metric was always NaN.

        Example:
            >>> lines = [Epoch(1, 7, True, {}, {"accuracy": 0.5}, 0.0)]
            >>> EarlyStopping("accuracy").best(lines).epoch
            1
        """
        best, found = -math.inf, None
        for line in history:
            value = self.worth(line.validation[self.monitor])
            if value > best:
                best, found = value, line
        return found

    def worth(self, value: Any) -> Any:
        """Return a value of the metric, negated if smaller is better."""
        return np.asarray(value) * (1 if self.mode == "max" else -1)


def require_stopping(stopping: Any) -> None:
    """Raise ValueError unless this is an `EarlyStopping`.

    Example:
        >>> require_stopping(EarlyStopping("loss", "min", patience=3))
    """
    if not isinstance(stopping, EarlyStopping):
        raise ValueError(
            f"early_stopping={stopping!r} must be an EarlyStopping, such as "
            "fdl.EarlyStopping('loss', 'min', patience=3)."
        )


class Best(NamedTuple):
    """The best epoch so far, of each member.

    Attributes:
        value: Its metric, negated if smaller is better.
        epoch: Its number.
        waited: Number of epochs since then.
        state: The state after it.
    """

    value: Float[np.ndarray, "*members"]
    epoch: Int[np.ndarray, "*members"]
    waited: Int[np.ndarray, "*members"]
    state: State


def nothing_yet(state: State, epoch: int) -> Best:
    """Return the `Best` before the first epoch."""
    shape = state.step.shape
    start = np.full(shape, epoch)
    return Best(np.full(shape, -math.inf), start, np.zeros(shape, int), state)


def update(
    best: Best,
    stopping: EarlyStopping,
    epoch: int,
    value: Any,
    state: State,
    running: Bool[np.ndarray, "*members"],
) -> tuple[Best, Bool[np.ndarray, "*members"]]:
    """Return the best epoch so far, given a new one, and which members continue."""
    value = stopping.worth(value)
    better = np.asarray(running & (value > best.value))
    waited = np.where(better, 0, best.waited + 1)
    best = Best(
        np.where(better, value, best.value),
        np.where(better, epoch, best.epoch),
        waited,
        choose(better, state, best.state) if better.any() else best.state,
    )
    if stopping.patience is not None:
        running = np.asarray(running & (waited < stopping.patience))
    return best, running

"""Checks of the callbacks, the state and the history that training starts with."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool

from fdl.arrays import Key, Keys, PyTree
from fdl.learner import Learner, State
from fdl.programs import program
from fdl.train.results import Epoch

_MOST_STEPS = 2**31 - 1  # a state counts them in 32 bits


def require_functions(**named: Any) -> None:
    """Raise ValueError if a callback is neither a function nor None.

    Example:
        >>> require_functions(on_epoch=[print, print])
        Traceback (most recent call last):
        ...
        ValueError: on_epoch is a list: pass a function, which can call several others.
    """
    for name, given in named.items():
        if given is not None and not callable(given):
            raise ValueError(
                f"{name} is a {type(given).__name__}: pass a function, which can call "
                "several others."
            )


def steps_done(state: State, running: Bool[np.ndarray, "*members"]) -> int:
    """Return the number of updates made, the same for all running members.

    Raises:
        ValueError: If it differs between members.
    """
    made = np.unique(np.asarray(state.step)[running])
    if len(made) > 1:
        raise ValueError(
            f"state has members after {made.tolist()} steps: all must have made the "
            "same number."
        )
    return int(made[0])


def require_countable(epochs: int, steps_per_epoch: int) -> None:
    """Raise ValueError if there are more updates than a state can count."""
    if epochs * steps_per_epoch > _MOST_STEPS:
        raise ValueError(
            f"epochs={epochs} make {epochs * steps_per_epoch:,} updates, but at most "
            f"{_MOST_STEPS:,} can be counted: use fewer epochs."
        )


def require_history(
    history: Sequence[Epoch], done: int, epochs: int, steps_per_epoch: int
) -> None:
    """Raise ValueError if a history is not that of a state, or no epochs are left.

    Args:
        history: The epochs that the caller passed, if any.
        done: Number of epochs that the state has made.
        epochs: Number of epochs in total.
        steps_per_epoch: Updates in each.
    """
    if not history:
        if done >= epochs:
            raise ValueError(
                f"state has already made {done} epochs, which epochs={epochs} includes:"
                " there is nothing left to train; use more epochs."
            )
        return
    last = history[-1]
    if last.step != last.epoch * steps_per_epoch:
        raise ValueError(
            f"history has {last.step} updates in {last.epoch} epochs, but an epoch now "
            f"has {steps_per_epoch}: pass the data and the batch_size of the run that "
            "state is from."
        )
    if last.epoch != done:
        raise ValueError(
            f"history ends with epoch {last.epoch}, but state has made {done} epochs: "
            "pass the history of the run that state is from."
        )


def require_state_of(
    learner: Learner, key: Key | Keys, one: PyTree, state: State
) -> None:
    """Raise ValueError if a state does not fit a learner.

    Args:
        learner: The learner.
        key: The key of the run, or one for each member.
        one: An example.
        state: The state.
    """
    wanted = program(learner.init).eval_shape(key, one)
    found, needed = (_described(each) for each in (state, wanted))
    for name in sorted(found.keys() | needed.keys()):
        if found.get(name) != needed.get(name):
            raise ValueError(
                f"state does not fit this learner: {name} is "
                f"{found.get(name, 'missing')}, but must be "
                f"{needed.get(name, 'absent')}. Use the model and the optimizer that "
                "it was trained with."
            )


def _described(state: State) -> dict[str, str]:
    """Return the shapes in a state by path."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): f"{np.shape(leaf)}"
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    }

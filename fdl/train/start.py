"""What a training may start from: a state of its own kind, and the epochs it made."""

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Bool

from fdl.arrays import Key, Keys, PyTree
from fdl.learner import Learner, State
from fdl.programs import program
from fdl.train.results import Epoch

_MOST_STEPS = 2**31 - 1  # a state counts them in 32 bits


def steps_done(state: State, running: Bool[np.ndarray, "*members"]) -> int:
    """Return the number of updates made, the same for all members that go on.

    Raises:
        ValueError: If it is not the same for all.
    """
    made = np.unique(np.asarray(state.step)[running])
    if len(made) > 1:
        raise ValueError(
            f"state has members after {made.tolist()} steps: they must all have made "
            "equally many."
        )
    return int(made[0])


def require_countable(epochs: int, steps_per_epoch: int) -> None:
    """Raise ValueError if there are more updates than a state can count."""
    if epochs * steps_per_epoch > _MOST_STEPS:
        raise ValueError(
            f"epochs={epochs} make {epochs * steps_per_epoch:,} updates, and "
            f"{_MOST_STEPS:,} can be counted: give fewer."
        )


def require_history(
    history: Sequence[Epoch], done: int, epochs: int, steps_per_epoch: int
) -> None:
    """Raise ValueError if a state did not make these epochs, or none are left.

    Args:
        history: The epochs that the caller knows of; none if they did not say.
        done: Number of epochs that the state has made.
        epochs: Number of epochs in total.
        steps_per_epoch: Updates in each.
    """
    if not history:
        if done >= epochs:
            raise ValueError(
                f"state has made {done} epochs, and epochs={epochs} counts these too: "
                "there is nothing left to train; give more epochs."
            )
        return
    last = history[-1]
    if last.step != last.epoch * steps_per_epoch:
        raise ValueError(
            f"history has {last.step} updates in {last.epoch} epochs, but "
            f"{steps_per_epoch} make an epoch now: give the data and the batch_size of "
            "the run that state is from."
        )
    if last.epoch != done:
        raise ValueError(
            f"history ends with epoch {last.epoch}, but state made {done}: give the "
            "epochs that it made."
        )


def require_state_of(
    learner: Learner, key: Key | Keys, one: PyTree, state: State
) -> None:
    """Raise ValueError if a state cannot be one of a learner's.

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
                f"state is not of this learner: {name} is "
                f"{found.get(name, 'not there')}, and must be "
                f"{needed.get(name, 'not there')}. Give the model and the optimizer "
                "that it was trained with."
            )


def _described(state: State) -> dict[str, str]:
    """Return the shapes in a state by their places."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): f"{np.shape(leaf)}"
        for path, leaf in jax.tree_util.tree_leaves_with_path(state)
    }

"""What it takes to choose: examples that are held out, and a measure on them in time.

Selection sees the validation part of the data alone. The best settings, halving, the
best member and the best epoch all ask here.
"""

import jax

from fdl.data import example
from fdl.tasks import Config, Task, Trained


def require_held_out(config: Config, what: str, otherwise: str) -> None:
    """Raise ValueError if a run holds out no examples to choose by.

    Args:
        config: Its settings.
        what: What is to be chosen.
        otherwise: What to do where nothing is to be held out.

    Example:
        >>> import fdl.tasks
        >>> config = fdl.tasks.find("cnn").config(validation=None)
        >>> require_held_out(config, "the best epoch", "train to the end")
        Traceback (most recent call last):
        ...
        ValueError: validation=None leaves no examples to choose the best epoch by: ...
    """
    if config.validation is None:
        raise ValueError(
            f"validation=None leaves no examples to choose {what} by: hold some out, "
            f"or {otherwise}."
        )


def measured_at_the_end(task: Task, trained: Trained) -> bool:
    """Return whether a task's metric is none of its learner's, but taken at the end."""
    one = example(trained.info)
    measured = jax.eval_shape(trained.learner.evaluate, trained.state, one)
    return task.metric not in measured


def require_measure(task: Task, trained: Trained, what: str) -> None:
    """Raise ValueError if nothing tells after an epoch how good a run is.

    Args:
        task: What is trained.
        trained: A run of it; of its state, only shapes and types are used.
        what: What needs a measure.
    """
    if measured_at_the_end(task, trained):
        raise ValueError(
            f"{what} needs a measure after each epoch, but {task.metric} of task "
            f"{task.name!r} is taken at the end."
        )

"""Requirements of model selection: held-out examples, and a metric after each epoch.

Selection uses the validation part of the data alone. The best settings, halving, the
best member and the best epoch are all checked here.
"""

import jax

from fdl.data import example
from fdl.tasks import Config, Task, Trained


def require_held_out(config: Config, what: str, otherwise: str) -> None:
    """Raise ValueError if a run holds out no examples to choose by.

    Args:
        config: Its settings.
        what: What to choose, for the message.
        otherwise: An alternative that needs no held-out examples.

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
    """Return whether a task's metric is measured at the end, not by its learner."""
    one = example(trained.info)
    measured = jax.eval_shape(trained.learner.evaluate, trained.state, one)
    return task.metric not in measured


def require_measure(task: Task, trained: Trained, what: str) -> None:
    """Raise ValueError if a task's metric is not measured after each epoch.

    Args:
        task: The task.
        trained: A run of it; only the shapes and types of its state are used.
        what: The option that needs the metric.
    """
    if measured_at_the_end(task, trained):
        raise ValueError(
            f"{what} needs a metric after each epoch, but {task.metric} of task "
            f"{task.name!r} is measured at the end."
        )

"""Tasks' models with random parameters, for the tests of several files."""

import dataclasses

from fdl import tasks
from fdl.data import DatasetInfo

DIGITS = tuple("0123456789")
IMAGES = DatasetInfo("mnist", "", "/home/me", 10, DIGITS, (28, 28, 1), 99, 0, 9, "", ())
TEXT = IMAGES._replace(kind="text", input_shape=(12,))


def untrained(name: str, **options) -> tuple[tasks.Trained, tasks.Task]:
    """Return a task's models with random parameters."""
    task = tasks.find(name)
    config = task.config(options=dataclasses.replace(task.options, **options))
    info = TEXT if name == "language-model" else IMAGES
    trained = tasks.outline(task, config, info)
    return dataclasses.replace(trained, state=tasks.draw_state(trained)), task

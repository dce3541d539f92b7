"""Tasks' models with random parameters, for the tests of several files."""

import dataclasses

from fdl import tasks
from fdl.data import DatasetInfo

DIGITS = tuple("0123456789")
IMAGES = DatasetInfo("mnist", "", "/home/me", 10, DIGITS, (28, 28, 1), 99, 0, 9, "", ())
TEXT = IMAGES._replace(kind="text", input_shape=(12,))
ROWS = IMAGES._replace(
    kind="vector", input_shape=(3,), means=(5, -4e3, 0), deviations=(2, 1e3, 0.1)
)
NUMBERS = ROWS._replace(
    kind="number",
    num_classes=1,
    class_names=("price",),
    means=(*ROWS.means, 3e5),
    deviations=(*ROWS.deviations, 1e4),
)


def untrained(
    name: str, info: DatasetInfo | None = None, **options
) -> tuple[tasks.Trained, tasks.Task]:
    """Return a task's models with random parameters."""
    task = tasks.find(name)
    options = dataclasses.replace(task.options, **options)
    config = task.config(dataset=task.dataset or "mnist", options=options)
    if info is None:
        info = TEXT if name == "language-model" else IMAGES
    trained = tasks.outline(task, config, info)
    return dataclasses.replace(trained, state=tasks.draw_state(trained)), task

"""Models of tasks with random parameters, shared by several test files."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

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


@functools.cache
def untrained(
    name: str, info: DatasetInfo | None = None, **options
) -> tuple[tasks.Trained, tasks.Task]:
    """Return the model of a task with random parameters, and the task."""
    task = tasks.find(name)
    options = dataclasses.replace(task.options, **options)
    config = task.config(dataset=task.dataset or "mnist", options=options)
    if info is None:
        info = TEXT if name == "language-model" else IMAGES
    trained = tasks.outline(task, config, info)
    rng = np.random.default_rng(0)
    state = jax.tree.map(functools.partial(_draw, rng), trained.state)
    return dataclasses.replace(trained, state=state), task


def _draw(rng: np.random.Generator, leaf: jax.ShapeDtypeStruct) -> Any:
    """Draw an array by NumPy: a JAX program for all would take long to compile."""
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.key(0)
    fan_in = max(1, leaf.size // leaf.shape[-1]) if leaf.shape else 1
    values = rng.normal(scale=fan_in**-0.5, size=leaf.shape)
    if leaf.ndim < 2:  # variances and scales are above zero
        values = 0.5 + 0.1 * np.abs(values)
    return values.astype(leaf.dtype)

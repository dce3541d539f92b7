"""Load data for a task, and check that they fit together."""

import itertools
from pathlib import Path
from typing import Any

import flax.linen as linen

from fdl import data
from fdl.arrays import DataError
from fdl.data import Dataset, DatasetInfo
from fdl.models.sizes import sizes
from fdl.plain import KINDS
from fdl.tasks.catalog import known


def load(
    task: Any,
    config: Any,
    dataset: str | None = None,
    data_dir: Path | None = None,
    *,
    like: DatasetInfo | None = None,
) -> Dataset:
    """Return a data set in the form that a task takes.

    Args:
        task: A `Task`.
        config: Its `Config`.
        dataset: The data set; None for that of the configuration.
        data_dir: Folder to search.
        like: Data set whose form to follow; see `fdl.data.load`.

    Raises:
        DataError: If it cannot be loaded, or is not of a kind that the task takes.
    """
    name = config.dataset if dataset is None else dataset
    share = config.validation
    loaded = data.load(name, data_dir=data_dir, validation=share, like=like)
    if loaded.info.kind not in task.takes:
        wanted = " or ".join(KINDS[kind] for kind in task.takes)
        *others, last = (one.name for one in known() if loaded.info.kind in one.takes)
        choices = f"{', '.join(others)} or {last}" if others else last
        raise DataError(
            f"task {task.name!r} takes {wanted}, but {loaded.info.title} holds "
            f"{KINDS[loaded.info.kind]}: choose {choices}."
        )
    return task.prepare(loaded, config)


def require_sizes(task: str, model: Any, info: DatasetInfo) -> None:
    """Raise a DataError if a model does not take images of a data set's size.

    Example:
        >>> from fdl.models import CNN
        >>> info = data.load("mnist-5k").info
        >>> require_sizes("cnn", CNN(10), info)
        >>> require_sizes("cnn", CNN(10), info._replace(input_shape=(8, 8, 1)))
        Traceback (most recent call last):
        ...
        fdl.arrays.DataError: task 'cnn' takes images from 18x18 pixels to any size, ...
    """
    if info.kind != "image":
        return
    height, width, _ = info.input_shape
    models = model if isinstance(model, tuple) else (model,)
    every = [sizes(one) for one in models if isinstance(one, linen.Module)]
    for limits in itertools.chain(*every):
        if not (limits.allow(height) and limits.allow(width)):
            raise DataError(
                f"task {task!r} takes images {limits}, but those of {info.title} are "
                f"{height}x{width}: choose another task, or another size (of your own "
                "images, with --size or DATASET?size=64)."
            )

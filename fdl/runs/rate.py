"""The learning-rate range test of a task."""

import dataclasses
from pathlib import Path
from typing import Any

from fdl import tasks
from fdl.runs.settings import configured
from fdl.tasks import Config, Task
from fdl.train import RateTest
from fdl.train import find_rate as find


def find_rate(
    task: str | Task | Config,
    *,
    model: Any = None,
    low: float = 1e-6,
    high: float = 1.0,
    steps: int = 200,
    data_dir: Path | str | None = None,
    **settings: Any,
) -> RateTest:
    """Train a task with a growing learning rate; see `fdl.train.find_rate`.

    Args:
        task: Name of a task, a task of your own, or all settings of a run; schedule,
            warm-up and learning rate have no effect.
        model: The model, for a task that trains one of yours; see `fdl.runs.train`.
        low: The first rate, above 0.
        high: The last rate, above `low`.
        steps: Number of updates, at least 10.
        data_dir: Folder to search for the data first, before the usual places.
        settings: Settings by name, unless `task` has all; see `fdl.runs.configure`.

    Raises:
        DataError: If the data cannot be loaded, or are smaller than a batch.
        ValueError: If a number is out of range, or the task has no metric `loss`.

    Example:
        >>> found = find_rate("mlp", dataset="mnist-5k", steps=50)
        >>> found.rates[0]
        np.float64(1e-06)
    """
    found, given = configured(task, model, settings, data_dir)
    config = dataclasses.replace(given, schedule="constant", warmup=None)
    where = None if data_dir is None else Path(data_dir)
    dataset = tasks.load(found, config, data_dir=where)
    config = tasks.with_class_weights(config, dataset)
    learner = tasks.outline(found, config, dataset.info).learner
    return find(
        learner,
        dataset.train,
        batch_size=config.batch_size,
        key=config.seed,
        low=low,
        high=high,
        steps=steps,
    )

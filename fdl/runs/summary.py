"""The layers of the models that a task would train."""

from pathlib import Path
from typing import Any

from fdl import data, tasks
from fdl.arrays import DataError
from fdl.runs.settings import configured
from fdl.tasks import Config, Task


def summarize(
    task: str | Task | Config,
    *,
    model: Any = None,
    levels: int | None = None,
    data_dir: Path | str | None = None,
    **settings: Any,
) -> tasks.Summaries:
    """Return the layers of the models that a task would train; see `fdl.summary`.

    Args:
        task: Name of a task, a task of your own, or all settings of a run.
        model: The model, for a task that trains one of yours; see `fdl.runs.train`.
        levels: Number of levels of nested layers to show; None for all.
        data_dir: Folder to search for the data first, before the usual places.
        settings: Settings by name, unless `task` has all; see `fdl.runs.configure`.

    Raises:
        DataError: If the data are needed and cannot be loaded; those of published data
            sets, such as MNIST, are not needed.
        ValueError: If a setting is invalid.

    Example:
        >>> found = summarize("resnet", dataset="mnist-5k", depth=14, levels=1)
        >>> found["model"].trained, found["model"].layers[2].name
        (174970, 'conv2_block1')
    """
    found, config = configured(task, model, settings, data_dir)
    where = None if data_dir is None else Path(data_dir)
    try:
        info = tasks.load(found, config, data_dir=where).info
    except DataError:
        info = data.published_info(config.dataset)
        if info is None or info.kind not in found.takes:
            raise
    return tasks.summaries(found, tasks.outline(found, config, info), levels)

"""Bring a run back from its folder."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from fdl import tasks
from fdl.arrays import Batch
from fdl.data import DatasetInfo
from fdl.learner import Learner, State
from fdl.train import RunError, RunFolder, load_weights


class Trained(NamedTuple):
    """A trained run.

    Attributes:
        config: Its settings.
        data_dir: Folder that its data were in, if one was given.
        info: What its data were.
        model: Its model.
        example: What the model reads, one of it.
        learner: How it was trained.
        state: What came of it.
    """

    config: tasks.Config
    data_dir: Path | None
    info: DatasetInfo
    model: Any
    example: np.ndarray
    learner: Learner
    state: State


def open_run(path: Path) -> Trained:
    """Return the trained run that is in a folder.

    Raises:
        RunError: If the folder holds no run, or its settings are damaged.
        WeightsError: If its weights are damaged or are not those of its model.
    """
    folder = RunFolder.open(path)
    settings = folder.config()
    try:
        names = [field.name for field in dataclasses.fields(tasks.Config)]
        config = tasks.Config(**{name: settings[name] for name in names})
        info = DatasetInfo(**settings["data"])
        height, width, channels = info.image_shape
        info = info._replace(image_shape=(height, width, channels))
        where = settings["data_dir"]
        task = tasks.find(config.task)
        learner = task.make_learner(config, info)
        image = np.zeros((1, height, width, channels), np.uint8)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path / 'config.json'} is damaged: {error!r}") from error
    batch = Batch(image, np.zeros(1, np.int32))
    state = jax.jit(learner.init)(jax.random.key(0), batch)
    state = load_weights(folder.weights, state)
    return Trained(
        config=config,
        data_dir=None if where is None else Path(where),
        info=info,
        model=task.make_model(info),
        example=image.astype(np.float32),
        learner=learner,
        state=state,
    )

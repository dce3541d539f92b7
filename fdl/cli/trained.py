"""Bring a run back from its folder."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import jax

from fdl import data, tasks
from fdl.cli.environment import versions
from fdl.learner import State
from fdl.train import RunError, RunFolder, load_weights


class Opened(NamedTuple):
    """A run that was read from its folder.

    Attributes:
        task: What was trained.
        trained: The run.
        data_dir: Folder that its data were in, if one was given.
    """

    task: tasks.Task
    trained: tasks.Trained
    data_dir: Path | None


def record(
    config: tasks.Config, info: data.DatasetInfo, data_dir: Path | None
) -> dict[str, Any]:
    """Return what a run's `config.json` says, for `open_run` to read."""
    return {
        **dataclasses.asdict(config),
        "data_dir": None if data_dir is None else str(data_dir),
        "data": info._asdict(),
        "versions": versions(),
    }


def draw_state(run: tasks.Trained) -> State:
    """Return a state that is drawn, to put weights from elsewhere into."""
    key = jax.random.key(run.config.seed)
    return jax.jit(run.learner.init)(key, data.example(run.info))


def open_run(path: Path) -> Opened:
    """Return the run that is in a folder.

    Raises:
        RunError: If the folder holds no run, or its settings are damaged.
        WeightsError: If its weights are damaged or are not those of its model.
    """
    folder = RunFolder.open(path)
    settings = folder.config()
    try:
        task = tasks.find(settings["task"])
        names = [field.name for field in dataclasses.fields(tasks.Config)]
        values = {name: settings[name] for name in names}
        options = _tuples(settings["options"])
        values["options"] = type(task.options)(**options)
        config = tasks.Config(**values)
        info = data.DatasetInfo(**_tuples(settings["data"]))
        where = settings["data_dir"]
        trained = tasks.outline(task, config, info)
        state = draw_state(trained)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path / 'config.json'} is damaged: {error!r}") from error
    state = load_weights(folder.weights, state)
    return Opened(
        task, trained._replace(state=state), None if where is None else Path(where)
    )


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    """Return values with tuples for lists, which is all that JSON has."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
    }

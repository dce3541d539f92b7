"""The `config.json` of a run: its settings and data, written and read."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fdl import data, tasks
from fdl.plain import Shard
from fdl.recorded import fields_of
from fdl.runs.environment import environment, versions
from fdl.runs.errors import RunError
from fdl.runs.folder import RunFolder
from fdl.tasks import Config, Task, Trained
from fdl.untrusted import reason
from fdl.weights import WeightsError


def record(
    task: Task,
    config: Config,
    info: data.DatasetInfo,
    data_dir: Path | None,
    *,
    trained_on: Iterable[str] = (),
    newly_initialized: Iterable[str] = (),
) -> dict[str, Any]:
    """Return the content of a run's `config.json`, for `load` to read.

    Args:
        task: Its task.
        config: Its settings.
        info: Description of its data.
        data_dir: Folder of the data, if one was given.
        trained_on: Data sets of the weights that it begins with.
        newly_initialized: Names of the arrays that are not taken from these weights.
    """
    return {
        **dataclasses.asdict(config),
        "trained_on": [*trained_on, config.dataset],
        "newly_initialized": list(newly_initialized),
        "metric": task.metric,
        "mode": task.mode,
        "data_dir": None if data_dir is None else str(data_dir),
        "data": info._asdict(),
        "versions": versions(),
        "environment": environment(),
        **_described(task, config, info),
    }


def _described(task: Task, config: Config, info: data.DatasetInfo) -> dict[str, Any]:
    """Return the layers of a Keras model, so that it need not be named again."""
    if not isinstance(config.options, tasks.OwnModel):
        return {}
    from fdl.keras.graph.model import KerasModel
    from fdl.keras.graph.write import recorded

    model = task.make_model(config.options, info)
    return recorded(model.graph) if isinstance(model, KerasModel) else {}


def provenance(said: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the facts in `config.json` about the weights that a run began with."""
    return {name: tuple(said[name]) for name in ("trained_on", "newly_initialized")}


class _Recorded(NamedTuple):
    """The contents of `config.json` apart from the settings."""

    data: data.DatasetInfo
    data_dir: str | None
    trained_on: tuple[str, ...]
    newly_initialized: tuple[str, ...]
    metric: str
    mode: Literal["max", "min"]
    versions: dict[str, str]
    init_from: str | None = None
    early_stopping: int | None = None
    devices: int | None = None
    shard: Shard = "batch"


def read(
    folder: RunFolder, *, model: Any = None, task: str | Task | None = None
) -> tuple[Task, Trained, Path | None]:
    """Return a run's task, the run before training, and the folder of its data.

    Raises:
        RunError: If `config.json` is damaged, or of an older version.
    """
    said, file = folder.config(), folder.path / "config.json"
    _require_settings(folder, said)
    try:
        values = fields_of(Config, said)
        recorded = _Recorded(**fields_of(_Recorded, said))
        data.require_sensible(recorded.data, "data.")
    except ValueError as error:
        raise RunError(f"{file} is damaged: {error}.") from error
    named = tasks.find(values["task"], task)
    own = said["options"] if isinstance(said["options"], dict) else {}
    if model is None and "keras_model" in said:
        model = _model_of(said, file)
    found = tasks.with_model(named, model, recorded=str(own.get("model", "")))
    try:
        kind = type(found.options)
        options = kind(**fields_of(kind, said["options"], "options."))
        config = Config(**values | {"options": options})
    except ValueError as error:
        raise RunError(f"{file} is damaged: {reason(error)}.") from error
    try:
        trained = tasks.outline(found, config, recorded.data)
    except Exception as error:  # a model may raise anything
        raise RunError(
            f"{file} is damaged: the model of task {found.name!r} cannot be made: "
            f"{reason(error)}."
        ) from error
    where = recorded.data_dir
    return found, trained, None if where is None else Path(where)


def _model_of(said: dict[str, Any], file: Path) -> Any:
    from fdl.keras.graph.model import KerasModel
    from fdl.keras.graph.read import read_recorded

    try:
        return KerasModel(read_recorded(said))
    except WeightsError as error:
        raise RunError(f"{file} is damaged: {error}") from error


def _require_settings(folder: RunFolder, said: dict[str, Any]) -> None:
    """Raise RunError if settings are missing that every run of this version has."""
    fields = [field.name for field in dataclasses.fields(Config)]
    own = ("data", "data_dir", *fields, "trained_on", "newly_initialized")
    missing = [name for name in own if name not in said]
    if isinstance(said.get("data"), dict):
        optional = data.DatasetInfo._field_defaults
        missing += [
            f"data.{name}"
            for name in data.DatasetInfo._fields
            if name not in said["data"] and name not in optional
        ]
    if missing:
        raise RunError(
            f"{folder.path / 'config.json'} lacks {', '.join(missing)}: the run is "
            "from an older version of fdl; train it again."
        )

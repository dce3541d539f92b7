"""The settings of a run by name, including the options of its task."""

import dataclasses
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fdl import tasks
from fdl.plain import unknown
from fdl.tasks import Config, Description
from fdl.tasks.choices import OPTIMIZERS, SCHEDULES

_OF_ALL = (
    "epochs",
    "batch_size",
    "learning_rate",
    "schedule",
    "optimizer",
    "weight_decay",
    "momentum",
    "clip_norm",
    "warmup",
    "augment",
    "label_smoothing",
    "ema",
    "precision",
)


def configure(
    task: str | Description, *, data_dir: Path | str | None = None, **values: Any
) -> Config:
    """Return the settings of a run: those given by name, and the task's defaults.

    Args:
        task: Name of a task, see `fdl.tasks.names`; or a task of your own.
        data_dir: Folder to search for the data, whose size determines defaults.
        values: Any field of `fdl.tasks.Config`, or of the task's own options.

    Raises:
        ValueError: If a setting is unknown, or its value out of range.

    Example:
        >>> config = configure("lstm", epochs=2, hidden_size=64)
        >>> config.epochs, config.options.hidden_size, config.batch_size
        (2, 64, 64)
    """
    found = tasks.describe(task) if isinstance(task, str) else task
    weights = values.get("class_weights")
    if isinstance(weights, Mapping):
        words = [f"{name}={weight}" for name, weight in weights.items()]
        values["class_weights"] = ",".join(words)
    if "freeze" in values:
        values["freeze"] = tuple(values["freeze"])
    options = values.pop("options", found.options)
    own = {field.name for field in dataclasses.fields(options)}
    of_all = [field.name for field in dataclasses.fields(Config)]
    known = (*of_all[1:], *sorted(own))
    for name in values:
        if name not in known:
            complaint = unknown("setting", name, known)
            raise ValueError(f"task {found.name!r}: {complaint}")
    changed = {name: value for name, value in values.items() if name in own}
    rest = {name: value for name, value in values.items() if name not in own}
    return found.config(options=_replace(options, changed), data_dir=data_dir, **rest)


def configured(
    task: "str | tasks.Task | Config",
    model: Any,
    settings: Mapping[str, Any],
    data_dir: Path | str | None,
) -> "tuple[tasks.Task, Config]":
    """Return a task and the settings of a run of it.

    Args:
        task: A task or its name; or all settings of a run.
        model: The model, for a task that trains one of the caller's.
        settings: Settings by name, unless `task` has all.
        data_dir: As for `configure`.
    """
    if isinstance(task, Config):
        if settings:
            raise ValueError(
                f"{', '.join(settings)}: the Config passed as task has this already; "
                "change it with dataclasses.replace."
            )
        of_model = isinstance(task.options, tasks.OwnModel)
        recorded = task.options.model if of_model else ""
        found = tasks.with_model(tasks.find(task.task), model, recorded=recorded)
        config = task
    else:
        named = tasks.find(task) if isinstance(task, str) else tasks.own_task(task)
        found = tasks.with_model(named, model)
        config = configure(found, data_dir=data_dir, **settings)
    if not isinstance(found.options, tasks.OwnModel):
        return found, config
    options = dataclasses.replace(config.options, model=found.options.model)
    return found, dataclasses.replace(config, options=options)


def settings(config: Config) -> dict[str, Any]:
    """Return all settings that can be swept over, by name.

    Settings that default to those of the optimizer or the schedule have these values;
    None if the optimizer or schedule has no such setting.

    Example:
        >>> found = settings(configure("cnn", optimizer="adamw"))
        >>> found["epochs"], found["weight_decay"], found["momentum"]
        (5, 0.004, None)
    """
    optimizer = OPTIMIZERS[config.optimizer]
    implied = {
        "weight_decay": optimizer.weight_decay,
        "momentum": optimizer.momentum,
        "warmup": SCHEDULES[config.schedule],
    }
    said = {name: getattr(config, name) for name in _OF_ALL}
    # A model of the user's own is named, not chosen from a list.
    named = isinstance(config.options, tasks.OwnModel)
    options = dataclasses.fields(config.options)
    return {
        name: implied.get(name) if value is None else value
        for name, value in said.items()
    } | {
        field.name: getattr(config.options, field.name)
        for field in options
        if not (named and field.name == "model")
    }


def change(config: Config, values: Mapping[str, Any]) -> Config:
    """Return a copy of settings with some of them changed.

    Raises:
        ValueError: If a value is out of range.

    Example:
        >>> change(configure("lstm"), {"hidden_size": 8}).options.hidden_size
        8
    """
    own = {name: value for name, value in values.items() if name not in _OF_ALL}
    rest = {name: value for name, value in values.items() if name in _OF_ALL}
    options = _replace(config.options, own)
    return dataclasses.replace(config, options=options, **rest)


def _replace(options: Any, values: Mapping[str, Any]) -> Any:
    hints = typing.get_type_hints(type(options))
    for name, value in values.items():
        choices = typing.get_args(hints.get(name))
        if isinstance(value, str) and choices and value not in choices:
            raise ValueError(f"{name}={value!r} must be one of {', '.join(choices)}.")
    tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    return dataclasses.replace(options, **tuples)

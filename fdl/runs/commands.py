"""The command that repeats a sweep."""

import shlex
from pathlib import Path
from typing import Any

from fdl import tasks
from fdl.data import DatasetInfo
from fdl.plain import SHARE
from fdl.runs.search import Search
from fdl.runs.settings import settings
from fdl.tasks import Config, Task


def sweep_command(
    task: Task, config: Config, search: Search, info: DatasetInfo, data_dir: Path | None
) -> str:
    """Return the command line that repeats a sweep; see `fdl.runs.sweep`.

    A task of the user's own appears as MODULE:NAME, to be filled in by the user.

    Args:
        task: The task.
        config: The settings that its members have in common.
        search: The settings that were swept over.
        info: The dataset, whose classes may have weights.
        data_dir: Folder of the data, if one was given.
    """
    known = config.task in tasks.names()
    words = ["fdl", "sweep", *([config.task] if known else ["--task", "MODULE:NAME"])]
    words += ["--dataset", config.dataset]
    if data_dir is not None:
        words += ["--data-dir", str(data_dir)]
    if isinstance(config.options, tasks.OwnModel) and config.options.model:
        words += ["--model", config.options.model]
    # Both determine the defaults of other settings.
    common = task.config(
        dataset=config.dataset,
        data_dir=data_dir,
        optimizer=config.optimizer,
        schedule=config.schedule,
    )
    usual = settings(common) | {
        "optimizer": Config.optimizer,
        "schedule": next(iter(task.learning_rates)),
    }
    swept = {*search.grid, *search.ranges}
    for name, value in settings(config).items():
        if value in (usual[name], None) or name in swept:
            continue
        if isinstance(value, bool):
            words.append(_flag(name if value else f"no_{name}"))
        else:
            words += [_flag(name), *_words(value)]
    if isinstance(config.class_weights, tuple):
        pairs = zip(info.class_names, config.class_weights, strict=True)
        words += ["--class-weights", ",".join(f"{name}={x}" for name, x in pairs)]
    if config.freeze:
        words += ["--freeze", *config.freeze]
    if config.seed:
        words += ["--seed", str(config.seed)]
    if config.validation != SHARE:
        words += ["--validation", str(config.validation or "none")]
    if search.grid:
        words.append("--grid")
        for name, values in search.grid.items():
            listed = ",".join("x".join(_words(value)) for value in values)
            words.append(f"{_dashed(name)}={listed}")
    if search.ranges:
        words.append("--random")
        for name, one in search.ranges.items():
            kind = "log" if one.log else "lin"
            words.append(f"{_dashed(name)}={kind}:{one.low}:{one.high}")
        words += ["--samples", str(search.samples)]
    if search.seeds > 1:
        words += ["--seeds", str(search.seeds)]
    return shlex.join(words + ["--halving"] * search.halving)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _flag(name: str) -> str:
    return f"--{_dashed(name)}"


def _words(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, tuple) else [str(value)]

"""The best member of a sweep, as a run of its own."""

import os
import shutil
from pathlib import Path
from typing import Any

from fdl import tasks
from fdl.learner import State
from fdl.runs.environment import made_with
from fdl.runs.folder import RunFolder
from fdl.runs.members import Members
from fdl.runs.novelty import keep_detector
from fdl.runs.run import record
from fdl.runs.weights import fill, named_variables


def keep_best(
    members: Members, data_dir: Path | None
) -> tuple[Path | None, dict[str, Any] | None]:
    """Write the best member as a run; return its folder, and what it reached.

    Both are None if there is none. A run that is there already is replaced when the new
    one is whole; whatever else is in its folder stays.
    """
    k = members.best()
    if k is None:
        return None, None
    config, info = members.configs[k], members.dataset.info
    unfinished = members.folder / ".best"
    shutil.rmtree(unfinished, ignore_errors=True)
    folder = RunFolder.create(unfinished, record(members.task, config, info, data_dir))
    own = tasks.outline(members.task, config, info).state
    folder.save(reduced(members.states([k])[k], own))
    last = members.last_rows()[k]
    of = lambda part: {
        name.removeprefix(f"{part}_"): value
        for name, value in last.items()
        if name.startswith(f"{part}_")
    }
    validation, test = of("validation"), of("test")
    result = {
        "task": config.task,
        "dataset": config.dataset,
        "epochs": last["epoch"],
        "seed": config.seed,
        "metrics": test,
        "validation": validation,
        **keep_detector(folder.path, members.task, members.dataset),
        **made_with(),
    }
    folder.write_json("result.json", result)
    place = members.folder / "best"
    _move(folder, RunFolder(place))
    return place, {
        "member": k,
        "configuration": members.numbers[k],
        "seed": config.seed,
        "validation": validation,
        "test": test,
    }


def reduced(state: State, own: State) -> State:
    """Return a member's state with what a run of its own has.

    A member also keeps what others need: their hyperparameters, momentum where its own
    is 0, an average of the parameters.
    """
    return fill(own, named_variables(state))


def _move(new: RunFolder, old: RunFolder) -> None:
    """Put a run in the place of another, of which nothing else is touched."""
    if not old.path.exists():
        new.path.rename(old.path)
        return
    (old.path / "checkpoints").mkdir(exist_ok=True)
    for checkpoint in old.checkpoints():
        shutil.rmtree(checkpoint)
    for checkpoint in new.checkpoints():
        checkpoint.rename(old.path / "checkpoints" / checkpoint.name)
    (new.path / "checkpoints").rmdir()
    for file in new.path.iterdir():
        os.replace(file, old.path / file.name)
    new.path.rmdir()

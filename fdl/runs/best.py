"""The best member of a sweep, as a run of its own."""

import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fdl import tasks
from fdl.learner import State
from fdl.runs.checkpoints import Checkpoint
from fdl.runs.environment import made_with
from fdl.runs.folder import RunFolder
from fdl.runs.history import history_sha256
from fdl.runs.members import Members
from fdl.runs.novelty import keep_detector
from fdl.runs.part import Row
from fdl.runs.record import record
from fdl.runs.seen import keep_seen, seen_of
from fdl.runs.weights import fill, named_variables
from fdl.train import Epoch


def keep_best(
    members: Members, data_dir: Path | None
) -> tuple[Path | None, dict[str, Any] | None]:
    """Write the best member as a run; return its folder and its results.

    Both are None if there is no best member. An existing run is replaced once the new
    one is complete; other files in its folder stay.
    """
    k = members.best()
    if k is None:
        return None, None
    config, info = members.configs[k], members.dataset.info
    unfinished = members.folder / ".best"
    shutil.rmtree(unfinished, ignore_errors=True)
    folder = RunFolder.create(unfinished, record(members.task, config, info, data_dir))
    keep_seen(folder.path, seen_of(members.dataset))
    own = tasks.outline(members.task, config, info).state
    state = _reduced(members.states([k])[k], own)
    rows = [row for row in members.table() if row["member"] == k]
    history = _history(rows, int(state.step))
    folder.keep(Checkpoint(state, history))
    validation, test = (_measured(rows[-1], part) for part in ("validation", "test"))
    result = {
        "task": config.task,
        "dataset": config.dataset,
        "epochs": rows[-1]["epoch"],
        "seed": config.seed,
        "metrics": test,
        "validation": validation,
        "history_sha256": history_sha256(history),
        **keep_detector(folder.path, members.task, members.dataset),
        **made_with(),
    }
    folder.write_json("result.json", result)
    place = members.folder / "best"
    _move(folder.path, place)
    return place, {
        "member": k,
        "configuration": members.numbers[k],
        "seed": config.seed,
        "validation": validation,
        "test": test,
    }


def _history(rows: Sequence[Row], steps: int) -> tuple[Epoch, ...]:
    """Return the history of a member, which shared the time with others."""
    last = rows[-1]["epoch"]
    return tuple(
        Epoch(
            row["epoch"],
            steps * row["epoch"] // last,
            running=True,
            train=_measured(row, "train"),
            validation=_measured(row, "validation"),
            seconds=math.nan,
        )
        for row in rows
    )


def _measured(row: Row, part: str) -> dict[str, float]:
    """Return the metrics of a part of the data."""
    start = f"{part}_"
    return {
        name.removeprefix(start): value
        for name, value in row.items()
        if name.startswith(start)
    }


def _reduced(state: State, own: State) -> State:
    """Reduce a member's state to that of a single run.

    A member's state also has what other members need: their hyperparameters, momentum
    even if its own is 0, an average of the parameters.
    """
    return fill(own, named_variables(state))


def _move(new: Path, old: Path) -> None:
    """Replace a run with another, leaving foreign files in its folder alone."""
    if not old.exists():
        new.rename(old)
        return
    states = old / "checkpoints"
    states.mkdir(exist_ok=True)
    for state in states.iterdir():
        if state.name.isdecimal():
            shutil.rmtree(state)
    for state in (new / "checkpoints").iterdir():
        state.rename(states / state.name)
    (new / "checkpoints").rmdir()
    for file in new.iterdir():
        os.replace(file, old / file.name)
    new.rmdir()

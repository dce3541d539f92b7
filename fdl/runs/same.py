"""Check that a run or sweep resumes under the conditions that it began with."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fdl.learner import State
from fdl.runs.errors import RunError
from fdl.runs.folder import RunFolder
from fdl.runs.seal import seal
from fdl.runs.search import Search
from fdl.runs.weights import named_variables
from fdl.tasks import Config

_PLACES = ("dataset", "name", "title", "source")
"""Keys that may change if data are moved but their checksum stays the same."""

_ANYWHERE = (*_PLACES, "data_dir", "init_from", "trained_on")
"""Keys of `config.json` that may differ between processes of one run.

Their data and weights may be in different places, and are compared by content.
"""

_CONDITIONS = ("versions", "environment")
"""Keys of `config.json` that affect a result, apart from settings and data."""


def require_same_sweep(
    folder: RunFolder, about: Mapping[str, Any], *, allow_changes: bool
) -> None:
    """Raise RunError, naming the difference, unless a folder contains a given sweep.

    Args:
        folder: The folder.
        about: The content of `config.json` for the given sweep.
        allow_changes: Whether versions, environment, strategy and chunk size may
            differ.
    """
    path, before, now = folder.path, folder.config(), json.loads(json.dumps(about))
    how = ("strategy", "members_per_chunk")
    for name in ("data", "sweep"):
        if not isinstance(before.get(name), dict):
            raise RunError(
                f"{path / 'config.json'} is damaged: it lacks {name}. Restore it, or "
                "use another folder for the sweep."
            )
    require_same_data(path, before["data"], now["data"])
    settings = [field.name for field in dataclasses.fields(Config)]
    settings = [name for name in settings if name not in _PLACES]
    wanted = [name for name in Search._fields if name not in how]
    for one, other, names in (
        (before, now, settings),
        (before["sweep"], now["sweep"], wanted),
    ):
        if found := _difference(one, other, names):
            raise RunError(
                f"{path} contains another sweep: {found}. Resume that with `fdl sweep "
                f"--run {path}`, or use another folder for this one."
            )
    if allow_changes:
        return
    require_same_conditions(path, before, now)
    _require_allowed(path, "flags", _difference(before["sweep"], now["sweep"], how))


def of_all_processes(about: Mapping[str, Any], start: State | None) -> dict[str, Any]:
    """Return everything that must be equal in all processes of a run.

    Args:
        about: The content of its `config.json`.
        start: The state to start from; None for a random one.
    """
    here = {name: x for name, x in about.items() if name not in _ANYWHERE}
    data = {name: x for name, x in about["data"].items() if name not in _PLACES}
    weights = None
    if start is not None:
        weights = seal(named_variables(start.variables), int(start.step))["fdl"]
    return here | {"data": data, "weights to start from": weights}


def require_same_data(path: Path, before: Any, now: Any) -> None:
    """Raise RunError, naming the difference, unless data are equal in content.

    Args:
        path: Folder of the run or sweep.
        before: Their description in `config.json`.
        now: Their description now.
    """
    if found := _difference(before, now, but=_PLACES):
        raise RunError(
            f"{path} began with other data: {found}. Use the data that it began with."
        )


def require_same_conditions(
    path: Path, before: Mapping[str, Any], now: Mapping[str, Any]
) -> None:
    """Raise RunError, naming the difference, unless versions and environment are equal.

    Args:
        path: Folder of the run or sweep.
        before: The content of its `config.json`.
        now: The content that it would have now.
    """
    for name in _CONDITIONS:
        _require_allowed(path, name, _difference(before.get(name), now.get(name)))


def _require_allowed(path: Path, what: str, found: str | None) -> None:
    if found:
        raise RunError(
            f"{path} began with other {what}: {found}. To continue anyway, use "
            "--allow-changes (from Python, allow_changes=True)."
        )


def _difference(
    before: Any,
    now: Any,
    names: Iterable[str] | None = None,
    *,
    but: tuple[str, ...] = (),
) -> str | None:
    """Describe the first difference; None if there is none."""
    before, now = (one if isinstance(one, dict) else {} for one in (before, now))
    for name in {**before, **now} if names is None else names:
        one, other = before.get(name), now.get(name)
        if name in but or one == other:
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            return _difference(one, other)
        return f"{name} was {_brief(one)} and is {_brief(other)}"
    return None


def _brief(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."

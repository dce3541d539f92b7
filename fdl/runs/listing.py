"""What runs there are, read from their JSON files without JAX."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fdl.runs.errors import RunError
from fdl.tasks import DESCRIPTIONS


class Listed(NamedTuple):
    """A run or a sweep in a folder.

    Attributes:
        path: Its folder.
        task: What is trained.
        dataset: What it is trained on.
        status: `"done"`, `"not done"`, or `"sweep"` for a sweep that is done.
        epochs: Passes over the data that were made; of a sweep, by all members.
        metric: What tells how good it is.
        value: The metric on the test set, or, of a run that is not done, on the
            validation part after its last epoch; None where there is none yet.
        when: When it began.
    """

    path: Path
    task: str
    dataset: str
    status: str
    epochs: int
    metric: str
    value: float | None
    when: datetime.datetime


def find_runs(folder: Path | str = "runs") -> list[Listed]:
    """Return the runs and sweeps in a folder and the folders in it, the oldest first.

    Members of sweeps are not among them.

    Raises:
        RunError: If there is no such folder, or a file of a run is damaged.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as empty:
        ...     find_runs(empty)
        []
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder: name one with runs in it.")
    return sorted(map(_listed, _folders(folder)), key=lambda one: one.when)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a run's `metrics.jsonl` as far as they are whole.

    Raises:
        RunError: If a line is damaged.
    """
    file = path / "metrics.jsonl"
    if not file.is_file():
        return []
    *lines, _ = file.read_text(encoding="utf-8").split("\n")
    try:
        return [json.loads(line) for line in lines]
    except ValueError as error:
        raise RunError(f"{file} is damaged: {error}") from error


def read_json(file: Path) -> dict[str, Any]:
    """Return the object in a JSON file.

    Raises:
        RunError: If it is damaged.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{file} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise RunError(f"{file} is damaged: it holds no JSON object.")
    return content


def _folders(folder: Path) -> Iterator[Path]:
    if (folder / "config.json").is_file():
        yield folder
        return
    for child in folder.iterdir():
        if child.is_dir() and not child.name.startswith("."):
            yield from _folders(child)


def _listed(path: Path) -> Listed:
    config = read_json(path / "config.json")
    done = (path / "result.json").is_file()
    result = read_json(path / "result.json") if done else {}
    sweep, log = "sweep" in config, read_log(path)
    task = str(config.get("task", "?"))
    metric = DESCRIPTIONS[task].metric if task in DESCRIPTIONS else ""
    measured = log[-1]["validation"] if log else {}
    if done:
        best = result.get("best") or {}
        measured = best.get("test", {}) if sweep else result["metrics"]
    return Listed(
        path,
        task,
        str(config.get("dataset", "?")),
        ("sweep" if sweep else "done") if done else "not done",
        int(result.get("epochs_trained", len(log))),
        metric,
        measured.get(metric),
        datetime.datetime.fromtimestamp((path / "config.json").stat().st_mtime),
    )

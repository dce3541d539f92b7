"""List runs and sweeps, from their JSON files and without importing JAX."""

import datetime
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fdl.files import sha256_of
from fdl.recorded import fields_of
from fdl.runs.errors import RunError
from fdl.runs.lock import is_held
from fdl.runs.part import part_files, read_part
from fdl.untrusted import parse_json, read_text

SHA256 = "sha256"
"""The key of the checksum in JSON files, which covers all other keys."""


class Listed(NamedTuple):
    """A run or a sweep in a folder.

    Attributes:
        path: Its folder.
        task: Name of its task.
        dataset: Name of its data set.
        status: `"done"`, or `"sweep"` for a sweep that is done; `"training"` while a
            process trains into it, `"cut off"` if none does and it is not done;
            `"damaged"` if a file cannot be read.
        epochs: Number of passes over the data made; for a sweep, by all members.
        metric: Name of its metric.
        mode: Whether the largest is the best (`"max"`) or the smallest (`"min"`).
        value: The metric on the test set; for a run that is not done, on the validation
            part after its last epoch; None if there is none yet. For a sweep, that of
            its best member, or the mean if it is over seeds alone.
        when: Time of its start.
    """

    path: Path
    task: str
    dataset: str
    status: str
    epochs: int
    metric: str
    mode: str
    value: float | None
    when: datetime.datetime


class _Line(NamedTuple):
    """A line of `metrics.jsonl`: see `fdl.train.Epoch`."""

    epoch: int
    step: int
    train: dict[str, Any]
    validation: dict[str, Any]
    seconds: float | None


class _Config(NamedTuple):
    """The keys that every `config.json` has."""

    task: str
    dataset: str
    metric: str
    mode: Literal["max", "min"]


def find_runs(folder: Path | str = "runs") -> list[Listed]:
    """Return the runs and sweeps in a folder and its subfolders, the oldest first.

    Members of sweeps are excluded, and so are folders with a foreign `config.json`.

    Raises:
        RunError: If there is no such folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as empty:
        ...     find_runs(empty)
        []
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise RunError(f"{folder} is not a folder: use one that contains runs.")
    found = [one for path in _folders(folder) if (one := look_at(path)) is not None]
    return sorted(found, key=lambda one: one.when)


def look_at(path: Path) -> Listed | None:
    """Describe a folder with a `config.json`; None if that does not belong to a run."""
    file = path / "config.json"
    try:
        config = read_json(file)
        about = _Config(**fields_of(_Config, config))
    except ValueError:
        return None
    listed = Listed(
        path,
        about.task,
        about.dataset,
        "damaged",
        0,
        about.metric,
        about.mode,
        None,
        datetime.datetime.fromtimestamp(file.stat().st_mtime),
    )
    training = is_held(path)  # before the result, which is written while it is held
    try:
        done = (path / "result.json").is_file()
        result = read_json(path / "result.json") if done else {}
        done_as = "sweep" if "sweep" in config else "done"
        made = len(read_log(path)) + (0 if done else _rows_of_parts(path))
        found = listed._replace(
            status=done_as if done else "training" if training else "cut off",
            epochs=result.get("epochs_trained", made),
            value=_measured(path, result, about.metric),
        )
    except (ValueError, LookupError, TypeError, AttributeError):
        return listed
    right = type(found.epochs) is int and type(found.value) in (float, int, type(None))
    return found if right else listed


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the complete lines of a run's `metrics.jsonl`.

    Raises:
        RunError: If a line is damaged.
    """
    file = path / "metrics.jsonl"
    if not file.is_file():
        return []
    try:
        *lines, _ = read_text(file).split("\n")
        found = [parse_json(line) for line in lines]
    except ValueError as error:
        raise RunError(f"{file} is damaged: {error}") from error
    for number, line in enumerate(found, start=1):
        try:
            fields_of(_Line, line)
        except ValueError as error:
            raise RunError(f"{file} is damaged: line {number}: {error}.") from error
    return found


def read_json(file: Path) -> dict[str, Any]:
    """Return the object in a JSON file of a run's folder, without its checksum.

    Raises:
        RunError: If it is damaged.
    """
    try:
        content = parse_json(read_text(file))
    except ValueError as error:
        raise RunError(f"{file} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise RunError(f"{file} is damaged: it is not a JSON object.")
    said = content.pop(SHA256, None)
    if said is not None and said != sha256_of(content):
        raise RunError(
            f"{file} is damaged: its checksum does not match. If you edited it, remove "
            f"{SHA256!r} from it."
        )
    return content


def _folders(folder: Path) -> Iterator[Path]:
    for path, folders, files in os.walk(folder):
        if "config.json" in files:
            yield Path(path)
            folders.clear()
        folders[:] = [name for name in folders if not name.startswith(".")]


def _rows_of_parts(path: Path) -> int:
    """Return how many epochs the members of a sweep have made so far, in total."""
    chunks = part_files(path / "parts").values()
    return sum(len(read_part(files[0]).rows) for files in chunks)


def _measured(path: Path, result: dict[str, Any], metric: str) -> float | None:
    """Return the metric of a run or sweep, if it is known yet."""
    if "metrics" in result:
        return result["metrics"].get(metric)
    if result.get("best"):
        return result["best"]["test"].get(metric)
    if "configurations" in result:  # a sweep without a best member
        summary = result["configurations"][0]["test"]
        return None if summary is None else summary["mean"]
    log = read_log(path)
    return log[-1]["validation"].get(metric) if log else None

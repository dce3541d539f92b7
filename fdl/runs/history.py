"""A run's history as lines of JSON, which any program can read and follow."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fdl.files import json_text
from fdl.runs.errors import RunError
from fdl.runs.listing import read_log
from fdl.train import Epoch

HISTORY = "metrics.jsonl"


def as_lines(history: Sequence[Epoch]) -> bytes:
    """Return a line for each epoch.

    Example:
        >>> as_lines([Epoch(1, 7, True, {"loss": 1.0}, {}, 0.5)])
        b'{"epoch": 1, "step": 7, "running": true, "train": {"loss": 1.0}, ...
    """
    return "".join(json_text(line._asdict()) + "\n" for line in history).encode()


def history_sha256(history: Sequence[Epoch]) -> str:
    """Return the SHA-256 of these lines, for `result.json`, which is written last."""
    return hashlib.sha256(as_lines(history)).hexdigest()


def read_history(folder: Path) -> tuple[Epoch, ...]:
    """Return the epochs in a folder's `metrics.jsonl`; none if there is no such file.

    An incomplete last line, from a process killed while writing, is ignored.

    Raises:
        RunError: If another line is damaged.
    """
    try:
        return tuple(Epoch(**_with_nan(line)) for line in read_log(folder))
    except (TypeError, KeyError, AttributeError) as error:
        raise RunError(f"{folder / HISTORY} is damaged: {error}") from error


def _with_nan(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line with NaN instead of null, its form in JSON."""
    number = lambda value: math.nan if value is None else value
    known = lambda measured: {name: number(x) for name, x in measured.items()}
    measured = {name: known(line[name]) for name in ("train", "validation")}
    return line | measured | {"seconds": number(line["seconds"])}

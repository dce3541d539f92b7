"""Measured results of tasks."""

import json
from importlib import resources
from typing import Any


def measured() -> dict[str, list[dict[str, Any]]]:
    """Return the results measured over seeds, by task.

    Each entry has `command`, `parameters`, `result` as text, and the number of `seeds`.

    Example:
        >>> measured()["cnn"][0]["command"]
        'fdl train cnn --validation none'
    """
    file = resources.files("fdl.tasks") / "measured.json"
    return json.loads(file.read_text(encoding="utf-8"))

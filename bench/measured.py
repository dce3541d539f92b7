"""Results of measurements: a folder with a JSON file for each case or operation."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def measured(folder: Path, names: Iterable[str], command: str) -> dict[str, Any]:
    """Return the results in a folder, in the order of `names`.

    Raises:
        ValueError: If there are none, or they are from different machines.
    """
    results = {
        name: json.loads((folder / f"{name}.json").read_text())
        for name in names
        if (folder / f"{name}.json").exists()
    }
    if not results:
        raise ValueError(
            f"{folder} has no results: run python -m bench {command} --out {folder}."
        )
    first = next(iter(results.values()))["machine"]
    for name, result in results.items():
        if result["machine"] != first:
            raise ValueError(
                f"the results in {folder} are from different machines: {first} and "
                f"{result['machine']}. Measure {name} again, or in another folder."
            )
    return results

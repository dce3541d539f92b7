"""What a file of weights says of itself: the update that they are of, and a checksum.

Both are in the file, since two files cannot be replaced at once.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from fdl.weights import WeightsError, describe


def seal(arrays: Mapping[str, Any], step: int) -> dict[str, str]:
    """Return the seal of arrays after a number of updates, as metadata of safetensors.

    It is one entry, since safetensors writes several in an order of its own each time.

    Example:
        >>> seal({"bias": np.zeros(3)}, step=7)
        {'fdl': 'step 7, sha256 3977e19b12e7...'}
    """
    return {"fdl": f"step {step}, sha256 {digest(arrays, str(step))}"}


def is_as_written(path: Path | str, arrays: Mapping[str, Any]) -> bool:
    """Return whether arrays read from a file are those that were written.

    Files that other programs wrote have no seal, and are taken as they are.
    """
    found = _metadata(path)
    step = _step(found)
    return not found or (step is not None and found == seal(arrays, step))


def sealed_step(path: Path | str) -> int | None:
    """Return the update that the weights of a file are of; None if it does not say."""
    return _step(_metadata(path))


def _metadata(path: Path | str) -> dict[str, str]:
    try:
        with safe_open(path, framework="numpy") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path} cannot be read as safetensors: {error}") from error


def _step(metadata: Mapping[str, str]) -> int | None:
    found = re.match(r"step (\d+),", metadata.get("fdl", ""), re.ASCII)
    return None if found is None else int(found[1])


def digest(arrays: Mapping[str, Any], about: str = "") -> str:
    """Return one sha256 of arrays with their names, types and shapes.

    Args:
        arrays: The arrays, by name.
        about: What else is to stay as it was written.
    """
    found = hashlib.sha256(about.encode())
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {describe(array)}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()

"""Files of arrays with a seal: the number of updates, and a checksum.

The seal is in the same file, since two files cannot be replaced atomically.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from fdl.files import write_whole
from fdl.weights import (
    Declared,
    WeightsError,
    describe,
    opened_safetensors,
    read_opened,
)


def write_sealed(path: Path | str, arrays: Mapping[str, Any], step: int = 0) -> None:
    """Write arrays as a safetensors file with a checksum, atomically.

    Args:
        path: The file.
        arrays: The arrays, by name.
        step: Number of updates behind them.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "a.safetensors")
        ...     write_sealed(file, {"bias": np.zeros(3)}, step=7)
        ...     read_sealed(file, lambda arrays: None)["bias"], sealed_step(file)
        (array([0., 0., 0.]), 7)
    """
    write_whole(path, sealed(arrays, step))


def sealed(arrays: Mapping[str, Any], step: int = 0) -> bytes:
    """Return the content of the file that `write_sealed` writes."""
    # In C order, since safetensors writes the memory as it is.
    ordered = {name: np.array(array, order="C") for name, array in arrays.items()}
    return save(ordered, seal(ordered, step))


def read_sealed(
    path: Path | str, require: Callable[[Mapping[str, Declared]], None]
) -> dict[str, np.ndarray]:
    """Read the arrays of a file, and verify their seal.

    Files of other programs have no seal, and are read without verification.

    Args:
        path: The file.
        require: As for `read_safetensors`.

    Raises:
        WeightsError: If the seal does not match, or the file cannot be read.
    """
    with opened_safetensors(path) as file:
        arrays, found = read_opened(file, require), file.metadata() or {}
    step = _step(found)
    if found and (step is None or found != seal(arrays, step)):
        raise WeightsError(f"{path} is damaged: its checksum does not match.")
    return arrays


def seal(arrays: Mapping[str, Any], step: int) -> dict[str, str]:
    """Return the seal of arrays after a number of updates, as safetensors metadata.

    It is a single entry, since safetensors writes several in random order.

    Example:
        >>> seal({"bias": np.zeros(3)}, step=7)
        {'fdl': 'step 7, sha256 3977e19b12e7...'}
    """
    return {"fdl": f"step {step}, sha256 {_digest(arrays, str(step))}"}


def sealed_step(path: Path | str) -> int | None:
    """Return the number of updates in the seal of a file; None if it has no seal."""
    with opened_safetensors(path) as file:
        return _step(file.metadata() or {})


def _step(metadata: Mapping[str, str]) -> int | None:
    found = re.match(r"step (\d+),", metadata.get("fdl", ""), re.ASCII)
    return None if found is None else int(found[1])


def _digest(arrays: Mapping[str, Any], about: str) -> str:
    """Return a SHA-256 of arrays with their names, types and shapes.

    Args:
        arrays: The arrays, by name.
        about: Other text that the checksum covers.
    """
    found = hashlib.sha256(about.encode())
    for name, array in sorted(arrays.items()):
        found.update(f"{name} {describe(array)}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()

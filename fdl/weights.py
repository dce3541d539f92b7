"""What files of weights have in common, whatever their format."""

import os
from pathlib import Path
from typing import Any


class WeightsError(ValueError):
    """Weights are damaged, or are not those of the model that they are meant for."""


def describe(array: Any) -> str:
    """Name the type and shape of an array in a few characters.

    Example:
        >>> import numpy as np
        >>> describe(np.zeros((3, 2), np.float32))
        'float32[3, 2]'
    """
    return f"{array.dtype}{list(array.shape)}"


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_whole(Path(folder, "a"), b"all of it")
        ...     Path(folder, "a").read_bytes()
        b'all of it'
    """
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)

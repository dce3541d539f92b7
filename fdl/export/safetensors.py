"""Write safetensors: named arrays, and no code."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save

from fdl.arrays import Array
from fdl.export.facts import Facts
from fdl.files import write_whole


def write_safetensors(
    path: Path | str, arrays: Mapping[str, Array], facts: Facts | None = None
) -> None:
    """Write arrays by name, with `facts` as `fdl` in the file's metadata.

    Example:
        >>> import tempfile
        >>> from safetensors.numpy import load_file
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f"{folder}/weights.safetensors"
        ...     write_safetensors(path, {"params/bias": np.zeros(3)})
        ...     load_file(path)["params/bias"].shape
        (3,)
    """
    metadata = None if facts is None else {"fdl": facts.to_json()}
    # C order, since safetensors ignores strides.
    plain = {name: np.array(array, order="C") for name, array in arrays.items()}
    write_whole(Path(path), save(plain, metadata))

"""Models saved by Keras with inputs and outputs; `make_golden_files.py` writes them."""

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parents[1] / "data" / "keras"
PAIRS = sorted(FOLDER.glob("*.npz"))


def read(name, folder):
    """Write a saved model into a folder; return its path, inputs and outputs."""
    path = folder / name
    with np.load(FOLDER / f"{name}.npz") as stored:
        path.write_bytes(stored["saved"].tobytes())
        arrays = {key.partition(" ")[::2]: stored[key] for key in stored}
    inputs = {name: x for (kind, name), x in arrays.items() if kind == "input"}
    outputs = {name: y for (kind, name), y in arrays.items() if kind == "output"}
    return path, inputs, outputs

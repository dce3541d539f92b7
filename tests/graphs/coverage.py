"""Writes docs/keras-import.md from the table: `python tests/graphs/coverage.py`."""

import inspect
import os
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "keras-import.md"

MARK = "### Layers"  # what is before it is written by hand
PLANNED = "planned"
APPLICATIONS = ("CustomScaleLayer", "LayerScale", "StochasticDepth")
THRESHOLD = "a name cannot have its arguments; `keras.ops.threshold` is supported"
ACTS = {
    "sparsemax": "as in Keras 3.15, whose values do not sum to one",
}


def classes(module):
    """Return the names of the classes of a module of Keras, without second names."""
    found = {}
    for name, value in vars(module).items():
        if inspect.isclass(value):
            found.setdefault(value.__name__, name)
    return sorted(found)


def page():
    """Return the page."""
    import keras

    from fdl.keras.table import LAYERS, OUT_OF_SCOPE
    from fdl.keras.table.activations import ACTIVATIONS
    from fdl.keras.table.initializers import INITIALIZERS
    from fdl.keras.table.regularizers import CONSTRAINTS, REGULARIZERS

    def told(names, known, notes=None):
        notes = notes or {}
        yield from ["", "| class | |", "| --- | --- |"]
        for name in names:
            reason = {**OUT_OF_SCOPE, "threshold": THRESHOLD}.get(name)
            state = "supported" if name in known else reason or PLANNED
            if notes.get(name):
                state += f"; {notes[name]}"
            yield f"| `{name}` | {state} |"

    bases = {
        "Layer",
        "Wrapper",
        "Initializer",
        "Regularizer",
        "Constraint",
        "InputSpec",
    }
    layers = [name for name in classes(keras.layers) if name not in bases]
    notes = {name: entry.level for name, entry in LAYERS.items()}
    functions = [
        name
        for name, value in vars(keras.activations).items()
        if callable(value) and name not in ("get", "serialize", "deserialize")
    ]
    lines = [PAGE.read_text().partition(MARK)[0].rstrip(), "", MARK]
    lines += told(sorted([*layers, *APPLICATIONS]), {*LAYERS, "InputLayer"}, notes)
    lines += ["", "### Activations", *told(sorted(functions), ACTIVATIONS, ACTS)]
    for title, module, known in (
        ("Initializers", keras.initializers, INITIALIZERS),
        ("Regularizers", keras.regularizers, REGULARIZERS),
        ("Constraints", keras.constraints, CONSTRAINTS),
    ):
        names = [name for name in classes(module) if name not in bases]
        lines += ["", f"### {title}", *told(names, known)]
    known = ", ".join(
        f"`{name.removeprefix('ops.')}`" for name in LAYERS if name.startswith("ops.")
    )
    lines += ["", "### Functions of `keras.ops`", "", f"By class: {known}."]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    PAGE.write_text(page())

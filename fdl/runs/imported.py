"""The folder of an imported Keras model, which needs neither Keras nor the file."""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import unflatten_dict

from fdl import tasks
from fdl.arrays import PyTree
from fdl.export import ExportError
from fdl.export.onnx import write_onnx
from fdl.export.safetensors import write_safetensors
from fdl.export.stablehlo import write_stablehlo
from fdl.files import json_text, write_whole
from fdl.keras.files import save_weights
from fdl.keras.graph.arrays import examples, slots_of
from fdl.keras.graph.model import KerasModel
from fdl.keras.graph.read import read_recorded
from fdl.keras.graph.summary import layers_of
from fdl.keras.graph.write import recorded
from fdl.runs.errors import RunError
from fdl.runs.seal import read_sealed, write_sealed
from fdl.runs.weights import named_variables
from fdl.train.evaluate import in_batches
from fdl.weights import Declared, WeightsError, describe

_CONFIG, _WEIGHTS = "config.json", "weights.safetensors"
_FLOATS = ("float16", "bfloat16", "float32", "float64")


@dataclasses.dataclass(frozen=True, eq=False)
class ImportedModel:
    """A Keras model and its weights, as `fdl.load` returns them from a folder.

    Attributes:
        path: The folder.
        model: The model.
        variables: Its variables.
    """

    path: Path
    model: KerasModel
    variables: PyTree

    def __repr__(self) -> str:
        """Return the folder, and the kind and name of the model."""
        graph = self.model.graph
        return f"ImportedModel({str(self.path)!r}: {graph.kind} {graph.name!r})"

    @functools.cached_property
    def _apply(self) -> Any:
        return jax.jit(self.model.apply)

    def predict(self, inputs: PyTree, *, batch_size: int = 500) -> PyTree:
        """Return the model's outputs for inputs, nested as the model expects them."""
        answer = lambda batch: self._apply(self.variables, batch)
        return in_batches(answer, inputs, batch_size)

    def summary(self, *, levels: int | None = None) -> tasks.Summaries:
        """Return the layers of the model, as `fdl.runs.Run` does; print it for a table.

        Args:
            levels: Number of levels of nested layers to show; None for all.
        """
        found = layers_of(self.model, self.variables, levels)
        return tasks.Summaries(model=found)

    def export(self, path: Path | str) -> None:
        """Export the model for other programs; the ending determines the format.

        - `NAME.keras`, `NAME.weights.h5`: for Keras.
        - `NAME.stablehlo`: a function of the inputs, for JAX alone.
        - `NAME.onnx`: for other runtimes, if the model is a chain of layers.
        - `NAME.safetensors`: its variables by name.

        Args:
            path: The file, which is replaced if it exists.

        Raises:
            ExportError: If it cannot be written as ONNX or StableHLO.
            ValueError: If no format has the ending.
        """
        path, inputs = Path(path), examples(self.model.graph)
        match path.suffix:
            case ".keras" | ".h5":
                save_weights(path, self.model, self.variables)
            case ".safetensors":
                write_safetensors(path, named_variables(self.variables))
            case ".stablehlo":
                function = functools.partial(self.model.apply, self.variables)
                write_stablehlo(path, function, *inputs)
            case ".onnx" if len(inputs) == 1:
                (x,) = (np.zeros(x.shape, x.dtype) for x in inputs)
                write_onnx(path, self.model, self.variables, x)
            case ".onnx":
                raise ExportError(
                    f"{path} can only hold a model with one input, but this one has "
                    f"{len(inputs)}."
                )
            case _:
                raise ValueError(
                    f"{path} has no known ending: use .keras, .weights.h5, .stablehlo, "
                    ".onnx or .safetensors."
                )


def write_imported(path: Path | str, model: KerasModel, variables: PyTree) -> None:
    """Write a model and its weights into a new folder, for `fdl.load`.

    Raises:
        ValueError: If `path` exists.
        WeightsError: If the model has layers of the user's own classes.
    """
    path, described = Path(path), recorded(model.graph)
    if path.exists():
        raise ValueError(f"{path} already exists: use another name.")
    path.mkdir(parents=True)
    write_sealed(path / _WEIGHTS, named_variables(variables))
    write_whole(path / _CONFIG, json_text(described).encode())


def open_imported(path: Path, said: Mapping[str, Any]) -> ImportedModel:
    """Return the model in a folder.

    Args:
        path: The folder.
        said: The content of its `config.json`.

    Raises:
        RunError: If its description is damaged.
        WeightsError: If its weights are damaged.
    """
    try:
        model = KerasModel(read_recorded(said))
    except WeightsError as error:
        raise RunError(f"{path / _CONFIG} is damaged: {error}") from error
    file, slots = path / _WEIGHTS, {slot.path: slot for slot in slots_of(model)}
    shapes = {"/".join(place): slot.shape for place, slot in slots.items()}

    def require(arrays: Mapping[str, Declared]) -> None:
        for name in sorted(shapes.keys() | arrays.keys()):
            if name not in arrays:
                raise WeightsError(f"{file} lacks {name}.")
            array = arrays[name]
            if array.shape != shapes.get(name) or array.dtype not in _FLOATS:
                raise WeightsError(
                    f"{file} has {name} as {describe(array)}, but the model "
                    + (
                        f"needs {list(shapes[name])}."
                        if name in shapes
                        else "does not have it."
                    )
                )

    found = read_sealed(file, require)
    variables = {place: found["/".join(place)] for place in slots}
    return ImportedModel(path, model, {"params": {}} | unflatten_dict(variables))

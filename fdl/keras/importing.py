"""Keras models, from files or from memory, as Linen modules with their weights."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import flax.linen as nn
import numpy as np
from flax.core import FrozenDict
from flax.traverse_util import unflatten_dict

from fdl.arrays import PyTree
from fdl.keras import archive, hdf5
from fdl.keras.graph.arrays import Slot, in_whole_model, paired, require_order, slots_of
from fdl.keras.graph.assets import with_vocabularies
from fdl.keras.graph.description import NO_OPTIONS
from fdl.keras.graph.keras2 import keras3_name
from fdl.keras.graph.model import KerasModel
from fdl.keras.graph.read import read_model
from fdl.untrusted import parse_json, reason
from fdl.weights import WeightsError

CustomLayers = Mapping[str, Callable[..., nn.Module]]
_MOST_WEIGHTS = 1 << 31


def import_model(
    source: str | os.PathLike[str] | Any, *, custom_layers: CustomLayers = NO_OPTIONS
) -> tuple[KerasModel, PyTree]:
    """Import a Keras model: its layers as one Linen module, and its weights.

    Needs neither Keras nor TensorFlow, and runs nothing in the file. Every option of
    every layer is checked: what fdl does not compute as Keras does is refused, with the
    name of the layer. What is supported stands in `docs/keras-import.md`.

    Args:
        source: A `.keras` file, or a `.h5` file with a whole model, from
            `keras_model.save` of Keras 3 or Keras 2 (`.h5` only); or a Keras 3 model
            in memory. Of the kind Sequential or Functional.
        custom_layers: For classes of your own, a function from the options in the
            file to a Linen module. Its arrays must be in the order of the layer's.

    Returns:
        The module, and its variables as NumPy arrays: `params`, and `batch_stats` with
        the statistics of normalizations, if there are any.

    Raises:
        WeightsError: If the file is missing or damaged, or has a layer or an option
            that is not supported.

    Example:
        >>> from fdl.models import MLP
        >>> from fdl.keras import save_weights
        >>> import jax, tempfile
        >>> image, mlp = np.zeros((1, 28, 28, 1)), MLP(10)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = f"{folder}/mlp.keras"
        ...     save_weights(path, mlp, mlp.init(jax.random.key(0), image), image)
        ...     model, variables = import_model(path)
        >>> model
        Sequential 'mlp'
          inputs = Input([28, 28, 1])
          flatten = Flatten(inputs)
          dense1 = Dense(flatten)
          dropout = Dropout(dense1)
          head = Dense(dropout)
          return head
        >>> model.apply(variables, np.zeros((5, 28, 28, 1))).shape
        (5, 10)
    """
    if not isinstance(source, str | os.PathLike):
        with _saved(source) as path:
            return import_model(path, custom_layers=custom_layers)
    path = Path(source)
    if not path.is_file():
        raise WeightsError(f"{path} does not exist or is not a file.")
    if path.suffix in (".h5", ".hdf5"):
        return _from_h5(path, custom_layers)
    if path.suffix == ".keras":
        return _from_keras(path, custom_layers)
    raise WeightsError(
        f"{path} is neither a .keras nor a .h5 file: save the model with "
        "model.save('x.keras')."
    )


def _from_keras(path: Path, custom: CustomLayers) -> tuple[KerasModel, PyTree]:
    asset = lambda name: archive.read_asset(path, name)
    model, slots = _model(path, archive.read_config(path), custom, asset=asset)
    count = min(sum(int(np.prod(slot.shape)) for slot in slots), _MOST_WEIGHTS)
    with tempfile.TemporaryFile() as file:
        file.write(archive.read_weights(path, count=count))
        stored = hdf5.groups_in(file, str(path))
        return model, _variables(path, file, slots, stored)


def _from_h5(path: Path, custom: CustomLayers) -> tuple[KerasModel, PyTree]:
    with path.open("rb") as file:
        found = hdf5.whole_model(file, str(path))
        keras2 = not found.version.startswith("3")
        try:
            config = parse_json(found.config)
        except (ValueError, RecursionError) as error:
            raise WeightsError(
                f"{path} has a description of its model that is damaged: "
                f"{reason(error)}."
            ) from error
        model, slots = _model(path, config, custom, keras2=keras2)
        slots = in_whole_model(model, slots, keras2=keras2)
        arrays = {keras3_name(name): each for name, each in found.arrays.items()}
        names = {keras3_name(name): each for name, each in found.names.items()}
        require_order(slots, names, str(path))
        return model, _variables(path, file, slots, arrays)


def _model(
    path: Path,
    config: Any,
    custom: CustomLayers,
    *,
    keras2: bool = False,
    asset: Callable[[str], bytes | None] = lambda name: None,
) -> tuple[KerasModel, list[Slot]]:
    try:
        graph = read_model(config, custom, keras2=keras2)
        graph = with_vocabularies(graph, asset)
        model = KerasModel(graph, FrozenDict(custom))
        return model, slots_of(model)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def _variables(path: Path, file: Any, slots: list[Slot], stored: Any) -> PyTree:
    arrays = {
        slot.path: hdf5.read(file, array, str(path))
        for slot, array in paired(slots, stored, str(path))
    }
    return {"params": {}} | unflatten_dict(arrays)


@contextlib.contextmanager
def _saved(keras_model: Any) -> Any:
    """Yield a file of a model in memory, which Keras writes."""
    if not hasattr(keras_model, "save") or not hasattr(keras_model, "layers"):
        raise WeightsError(
            f"{type(keras_model).__name__} is neither a path nor a Keras model."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        keras_model.save(path)
        yield path

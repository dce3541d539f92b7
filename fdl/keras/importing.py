"""Import Keras models, from files or from memory, as Linen modules with weights."""

import contextlib
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, overload

import flax.linen as nn
import jax
import numpy as np
from flax.core import FrozenDict
from flax.traverse_util import unflatten_dict

from fdl.arrays import PyTree
from fdl.keras import archive, hdf5
from fdl.keras.compiled import Compiled, read_compiled
from fdl.keras.compiled_optimizer import read_state
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


@overload
def import_model(
    source: str | os.PathLike[str] | Any,
    *,
    custom_layers: CustomLayers = NO_OPTIONS,
    compiled: Literal[False] = False,
) -> tuple[KerasModel, PyTree]: ...


@overload
def import_model(
    source: str | os.PathLike[str] | Any,
    *,
    custom_layers: CustomLayers = NO_OPTIONS,
    compiled: Literal[True],
) -> tuple[KerasModel, PyTree, Compiled]: ...


def import_model(
    source: str | os.PathLike[str] | Any,
    *,
    custom_layers: CustomLayers = NO_OPTIONS,
    compiled: bool = False,
) -> tuple[KerasModel, PyTree] | tuple[KerasModel, PyTree, Compiled]:
    """Import a Keras model: its layers as one Linen module, and its weights.

    This needs neither Keras nor TensorFlow, and runs nothing in the file. Every option
    of every layer is checked: if fdl would not compute the same as Keras, the model is
    refused, and the message names the layer. The documentation lists the supported
    layers and options, class by class.

    Args:
        source: A Sequential or Functional model: a `.keras` or whole-model `.h5` file
            from `keras_model.save` of Keras 3 or Keras 2, or a Keras 3 model in memory.
        custom_layers: For each custom class, a function from the options in the file
            to a Linen module, whose arrays must be in the order of the Keras layer's.
        compiled: Whether to return the arguments of `keras_model.compile` too, which
            `fdl.learners.from_keras` turns into a learner.

    Returns:
        The module, and its variables as NumPy arrays: `params`, and `batch_stats` with
        statistics of normalization layers, if there are any. With `compiled=True`, also
        a `Compiled`: the optimizer with its state, the losses and the metrics.

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
            try:
                found = _read(path, custom_layers, compiled)
            except WeightsError as error:  # it names a temporary file
                name = f"the Keras model {getattr(source, 'name', '')!r}"
                raise WeightsError(str(error).replace(str(path), name)) from None
    else:
        found = _read(Path(source), custom_layers, compiled)
    return found if compiled else found[:2]


def _read(
    path: Path, custom: CustomLayers, compiled: bool
) -> tuple[KerasModel, PyTree, Any]:
    if path.is_dir():
        raise WeightsError(
            f"{path} is a folder. A SavedModel does not describe its layers: save the "
            "model with model.save('x.keras')."
        )
    if not path.is_file():
        raise WeightsError(f"{path} does not exist or is not a file.")
    if path.suffix in (".h5", ".hdf5"):
        return _from_h5(path, custom, compiled)
    if path.suffix == ".keras":
        return _from_keras(path, custom, compiled)
    raise WeightsError(
        f"{path} is neither a .keras nor a .h5 file: save the model with "
        "model.save('x.keras')."
    )


def _from_keras(
    path: Path, custom: CustomLayers, compiled: bool
) -> tuple[KerasModel, PyTree, Any]:
    config = archive.read_config(path)
    asset = lambda name: archive.read_asset(path, name)
    keras2 = archive.is_of_keras2(path)
    model, slots = _model(path, config, custom, keras2=keras2, asset=asset)
    count = min(sum(int(np.prod(slot.shape)) for slot in slots), _MOST_WEIGHTS)
    with tempfile.TemporaryFile() as file:
        file.write(archive.read_weights(path, count=count))
        stored = hdf5.groups_in(file, str(path))
        if keras2:  # which gives parts of attention private names
            stored = {place.replace("/_", "/"): each for place, each in stored.items()}
        variables = _variables(path, file, slots, stored)
        if not compiled:
            return model, variables, None
        found = _compiled(path, file, config.get("compile_config"), model, variables)
        return model, variables, found


def _from_h5(
    path: Path, custom: CustomLayers, compiled: bool
) -> tuple[KerasModel, PyTree, Any]:
    with path.open("rb") as file:
        whole = hdf5.whole_model(file, str(path))
        keras2 = not whole.version.startswith("3")
        config = _parsed(path, whole.config, "its model")
        model, slots = _model(path, config, custom, keras2=keras2)
        slots = in_whole_model(model, slots, keras2=keras2)
        names = {keras3_name(name): each for name, each in whole.names.items()}
        require_order(slots, names, str(path))
        arrays = {keras3_name(name): each for name, each in whole.arrays.items()}
        variables = _variables(path, file, slots, arrays)
        if not compiled:
            return model, variables, None
        training = whole.training and _parsed(path, whole.training, "its training")
        return model, variables, _compiled(path, file, training, model, variables)


def _compiled(
    path: Path, file: Any, config: Any, model: KerasModel, variables: PyTree
) -> Compiled:
    """Return the arguments of `compile`, with the state of the optimizer."""
    if not config:
        raise WeightsError(
            f"{path} has a model that is not compiled: leave compiled=True out."
        )
    try:
        found = read_compiled(config, model)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    slots = in_whole_model(model, slots_of(model), keras2=False)
    frozen = [tuple(each.split("/")) for each in model.frozen]
    trained = [
        slot.path[1:]
        for slot in slots
        if slot.path[0] == "params"
        and not any(slot.path[1 : len(each) + 1] == each for each in frozen)
    ]
    stored = hdf5.optimizer_in(file, str(path))
    if sum(math.prod(array.shape) for array in stored) > _most(variables):
        raise WeightsError(
            f"{path} has an optimizer state that is larger than its model needs."
        )
    state = read_state(
        found.optimizer.init(variables["params"]),
        variables["params"],
        trained,
        [hdf5.read(file, array, str(path)) for array in stored],
        str(path),
        keras2=model.graph.keras2,
    )
    return found._replace(opt_state=state)


def _most(variables: PyTree) -> int:
    """Return how many values an optimizer may store: ten for each weight."""
    return 10 * sum(np.size(w) for w in jax.tree.leaves(variables["params"])) + 100


def _parsed(path: Path, text: str, what: str) -> Any:
    try:
        return parse_json(text)
    except (ValueError, RecursionError) as error:
        raise WeightsError(
            f"{path} has a damaged description of {what}: {reason(error)}."
        ) from error


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
    """Yield a temporary file to which Keras saved a model."""
    if not hasattr(keras_model, "save") or not hasattr(keras_model, "layers"):
        raise WeightsError(
            f"{type(keras_model).__name__} is neither a path nor a Keras model."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        keras_model.save(path)
        yield path

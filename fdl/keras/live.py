"""Copy weights from and to Keras models in memory, through Keras' public API."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from fdl.arrays import PyTree
from fdl.keras import layers
from fdl.keras.layers import Layer, Path
from fdl.keras.matching import match
from fdl.weights import WeightsError, describe

# Names that Keras gives to the cells of recurrent layers, which hold their arrays.
CELLS = ("simple_rnn_cell", "lstm_cell", "gru_cell")
ROLES = {"query": "query", "key": "key", "value": "value", "attention_output": "out"}


def from_keras(model: nn.Module, keras_model: Any, *inputs: Any) -> PyTree:
    """Copy the weights of a Keras model to variables of a Linen module, bit for bit.

    Layers are paired by name if the Keras model has every name in the module
    (`stage1_conv` for `stage1/conv`), and otherwise by class, shapes and order.

    Args:
        model: The module.
        keras_model: A built Keras model.
        *inputs: Example inputs of `model`, of which only shapes and types are used;
            needed if the Keras model does not define its inputs.

    Returns:
        `{"params": ...}`, with `"batch_stats"` if the module has any, as NumPy arrays.

    Raises:
        WeightsError: If the two models do not have the same layers.

    Example:
        >>> from types import SimpleNamespace as Stand  # in for Keras
        >>> kernel, bias = np.ones((3, 2), np.float32), np.zeros(2, np.float32)
        >>> keras_model = Stand(
        ...     inputs=[Stand(shape=(None, 3), dtype="float32")],
        ...     weights=[
        ...         Stand(path="net/head/kernel", shape=(3, 2), dtype="float32",
        ...               numpy=lambda: kernel),
        ...         Stand(path="net/head/bias", shape=(2,), dtype="float32",
        ...               numpy=lambda: bias),
        ...     ],
        ... )
        >>> from_keras(nn.Dense(2), keras_model)["params"]["bias"]
        array([0., 0.], dtype=float32)
    """
    where = _name(keras_model)
    ours = _layers_of(model, keras_model, inputs)
    return layers.variables_of(
        {
            slot.path: np.array(variable.numpy())
            for our, their in match(ours, of_keras(keras_model), where)
            for slot, variable in zip(our.arrays, their.arrays, strict=True)
        }
    )


def to_keras(
    variables: PyTree, keras_model: Any, model: nn.Module | None = None, *inputs: Any
) -> None:
    """Set the weights of a Keras model; on a mismatch, leave all of them unchanged.

    Args:
        variables: Variables of a Linen module, of the same types as Keras' weights.
        keras_model: A built Keras model.
        model: The module, which determines the classes and order of its layers.
            Without it, layers must have the same names in Keras, or differ in shape.
        *inputs: As for `from_keras`.

    Raises:
        WeightsError: If the two models do not have the same layers, or the layers
            cannot be paired.

    Example:
        >>> from types import SimpleNamespace as Stand  # in for Keras
        >>> variable = Stand(path="net/head/kernel", shape=(2, 1), dtype="float32",
        ...                  assign=print)
        >>> variables = {"params": {"head": {"kernel": np.ones((2, 1), np.float32)}}}
        >>> to_keras(variables, Stand(weights=[variable]))
        [[1.]
         [1.]]
    """
    where = _name(keras_model)
    if model is None:
        ours = layers.of_variables(variables)
    else:
        ours = _layers_of(model, keras_model, inputs)
    arrays = layers.arrays_of(variables, ours)
    changes = [
        (variable, arrays[slot.path])
        for our, their in match(ours, of_keras(keras_model), where)
        for slot, variable in zip(our.arrays, their.arrays, strict=True)
    ]
    for variable, array in changes:
        if np.dtype(variable.dtype) != array.dtype:
            raise WeightsError(
                f"{where} has {variable.path} in {variable.dtype}, but the variables "
                f"have it as {describe(array)}: convert the variables first."
            )
    for variable, array in changes:
        variable.assign(array)


def of_keras(keras_model: Any) -> list[Layer]:
    """Return the layers of a Keras model that have arrays, in its order."""
    paths: list[Path] = []
    arrays: list[dict[str, Any]] = []
    for variable in keras_model.weights:
        *path, name = variable.path.split("/")
        # Layers with the same name in two inner models share a path.
        if not paths or paths[-1] != tuple(path) or name in arrays[-1]:
            paths.append(tuple(path))
            arrays.append({})
        arrays[-1][name] = variable
    in_cell = [len(path) > 1 and path[-1] in CELLS for path in paths]
    paths = [
        path[:-1] if cell else path for path, cell in zip(paths, in_cell, strict=True)
    ]
    return [
        Layer(names, role, None, (f"layer_{number}",), tuple(own.values()))
        for number, ((names, role), own) in enumerate(
            zip(layers.parts(paths, _role), arrays, strict=True)
        )
    ]


def _role(piece: str) -> str:
    direction = piece.partition("_")[0]
    return direction if direction in ("forward", "backward") else ROLES.get(piece, "")


def _layers_of(
    model: nn.Module, keras_model: Any, inputs: Sequence[Any]
) -> list[Layer]:
    """Return the layers of `model`, for the inputs of Keras if none are given."""
    if inputs:
        return layers.of_module(model, inputs)
    where, known = _name(keras_model), getattr(keras_model, "inputs", None)
    if not known:
        raise WeightsError(
            f"{where} does not define its inputs: pass an example input."
        )
    return layers.of_module_for(
        model,
        [
            jax.ShapeDtypeStruct(
                [size or 1 for size in tensor.shape],
                jax.dtypes.canonicalize_dtype(tensor.dtype),
            )
            for tensor in known
        ],
        where,
    )


def _name(keras_model: Any) -> str:
    return f"the Keras model {getattr(keras_model, 'name', '')!r}"

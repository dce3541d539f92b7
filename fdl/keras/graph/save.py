"""Convert models to the content of a file: a graph, and the arrays of its layers."""

import dataclasses
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from fdl.arrays import PyTree
from fdl.keras import layers
from fdl.keras.graph.arrays import examples, layers_in, paired, slots_of
from fdl.keras.graph.description import Graph, Layer, leaves, refuse
from fdl.keras.graph.model import KerasModel
from fdl.keras.graph.names import keys_in_file
from fdl.keras.hdf5 import Group, groups_of
from fdl.keras.table import LAYERS
from fdl.keras.tracing.finish import Traced, plain
from fdl.keras.tracing.trace import trace
from fdl.untrusted import reason
from fdl.weights import WeightsError, describe

_CLOSE = {"bfloat16": 1e-1, "float16": 2e-2, "float32": 1e-4, "float64": 1e-4}


def _groups_of_graph(model: KerasModel, variables: PyTree) -> list[Group]:
    """Return the arrays of an imported model as the groups of a file.

    Raises:
        WeightsError: If the variables do not fit the model.
    """
    slots = slots_of(model)
    found = {path: np.asarray(leaf) for path, leaf in flatten_dict(variables).items()}
    arrays: dict[str, list[np.ndarray]] = {}
    for slot in slots:
        array = found.get(slot.path)
        if array is None:
            raise WeightsError(f"variables lack {slot.name} of shape {slot.shape}.")
        if array.shape != slot.shape:
            raise WeightsError(
                f"variables have {slot.name} as {describe(array)}, but the model needs "
                f"the shape {list(slot.shape)}."
            )
        arrays.setdefault(slot.place, []).append(array)
    unknown = found.keys() - {slot.path for slot in slots}
    if unknown:
        name = "/".join(min(unknown))
        raise WeightsError(f"variables contain {name}, which the model does not have.")
    named = {
        place: layer
        for _, place, layer in layers_in(model.graph)
        if layer.kind != "InputLayer" and not layer.kind.startswith("ops.")
    }
    for place, layer in named.items():
        entry = LAYERS.get(layer.kind)
        if entry is not None and place in arrays:
            arrays[place] += [np.zeros((), np.int32)] * entry.counters
    names = {place: layer.name for place, layer in named.items()}
    return [
        Group(place, names.get(place), arrays.get(place, []))
        for place in dict.fromkeys([*names, *arrays])
    ]


def described(
    model: nn.Module, variables: PyTree, inputs: tuple
) -> tuple[Graph, list[Group]]:
    """Express a module as a graph of Keras layers, and check it on random inputs.

    Args:
        model: The module.
        variables: Its variables.
        inputs: Example inputs, which a `KerasModel` does not need.

    Raises:
        WeightsError: If the module cannot be expressed in Keras layers.
    """
    if isinstance(model, KerasModel):
        if model.graph.keras2:
            _require_same_in_keras3(model, variables)
        return model.graph, _groups_of_graph(model, variables)
    if not inputs:
        raise WeightsError(
            "the layers depend on the shapes of the inputs: pass an example input."
        )
    types = sorted({np.asarray(leaf).dtype.name for leaf in jax.tree.leaves(variables)})
    if len(types) > 1:
        raise _unlike(model, f"its weights have several types, {', '.join(types)}")
    dtype = types[0] if types else "float32"
    graph, paths = _traced(model, inputs, dtype)
    _require_none_of_keras2(graph)
    homes, inner = {}, {}
    for layer, key in zip(graph.layers, keys_in_file(graph), strict=True):
        if layer.name in paths:
            homes[paths[layer.name]] = f"layers/{key}"
            if layer.graph is not None:
                inner[paths[layer.name]] = layer
    ours = layers.of_module(model, inputs, without=list(inner))
    arrays = layers.arrays_of(layers.outside(variables, list(inner)), ours)
    unused = [layer for layer in ours if layer.names not in homes]
    if unused:
        names = ", ".join(repr(layer.name) for layer in unused)
        warnings.warn(
            f"the outputs of {type(model).__name__} in evaluation do not depend on "
            f"{names}: the Keras model does not have these layers.",
            stacklevel=3,
        )
    used = [layer for layer in ours if layer.names in homes]
    groups = groups_of(used, arrays, homes)
    for path, layer in inner.items():
        groups += _groups_of_part(layer, homes[path], _within(variables, path))
    stored = {group.place: group.arrays for group in groups if group.arrays}
    twin = KerasModel(graph)
    pairs = paired(slots_of(twin), stored, type(model).__name__)
    theirs = layers.variables_of({slot.path: array for slot, array in pairs})
    _require_same(model, variables, twin, theirs, inputs, dtype)
    return graph, groups


def _parts(layers: Iterable[Any]) -> Iterator[Layer]:
    """Yield layers, and those inside them."""
    for layer in layers:
        if isinstance(layer, Layer):
            yield layer
            yield from _parts(layer.graph.layers if layer.graph else ())
            yield from _parts(leaves(layer.options))


def _groups_of_part(layer: Layer, home: str, variables: PyTree) -> list[Group]:
    """Return the groups of a model nested in a module."""
    assert layer.graph is not None
    groups = _groups_of_graph(KerasModel(layer.graph), variables)
    return [
        Group(home, layer.name, ()),
        *(group._replace(place=f"{home}/{group.place}") for group in groups),
    ]


def _within(variables: PyTree, path: tuple[str, ...]) -> PyTree:
    """Return the variables of the submodule at a path."""
    found = {}
    for collection, tree in variables.items():
        for name in path:
            tree = tree.get(name, {})
        if tree:
            found[collection] = tree
    return found


def _require_none_of_keras2(graph: Graph) -> None:
    for layer in _parts(graph.layers):
        own = [x for x in leaves(layer.options) if str(x).startswith("keras2>")]
        if own:
            raise refuse(
                str(layer), f"uses the {own[0][7:]} of Keras 2, which Keras 3 lacks."
            )


def _require_same_in_keras3(model: KerasModel, variables: PyTree) -> None:
    """Raise WeightsError if a Keras 2 model predicts something else in Keras 3."""
    _require_none_of_keras2(model.graph)
    graph = dataclasses.replace(model.graph, keras2=False)
    twin = dataclasses.replace(model, graph=graph)
    dtype = max((x.dtype.name for x in jax.tree.leaves(variables)), default="float32")
    inputs = tuple(examples(model.graph, 32))
    try:
        _require_same(model, variables, twin, variables, inputs, dtype)
    except WeightsError as error:
        raise WeightsError(
            "masks of Keras 2 propagate differently from those of Keras 3, with which "
            "the model would predict something else: write a folder with "
            "`fdl import --to`, or a .stablehlo."
        ) from error


def _traced(model: nn.Module, inputs: tuple, dtype: str) -> Traced:
    try:
        return trace(model, *inputs, dtype=dtype)
    except WeightsError as error:
        raise _unlike(model, str(error)) from error
    except Exception as error:  # a model may raise anything
        why = f"it does not support batches of any size ({reason(error)})"
        raise _unlike(model, why) from error


def _require_same(
    model: nn.Module,
    ours: PyTree,
    twin: KerasModel,
    theirs: PyTree,
    inputs: Any,
    dtype: str,
) -> None:
    """Compare the outputs of two models on random inputs."""
    rng = np.random.default_rng(0)

    def drawn(x: Any) -> np.ndarray:
        shape = (3, *x.shape[1:])
        if jnp.issubdtype(x.dtype, jnp.floating):
            return rng.normal(size=shape).astype(dtype)
        return rng.integers(0, 2, shape).astype(x.dtype)

    given = jax.tree.map(drawn, inputs)
    wanted, found = jax.jit(
        lambda ours, theirs, given: (
            model.apply(ours, *given),
            twin.apply(theirs, *given),
        )
    )(ours, theirs, given)
    wanted, found = jax.tree.leaves(plain(wanted)), jax.tree.leaves(found)
    for a, b in zip(wanted, found, strict=True):
        a, b = np.asarray(a, float), np.asarray(b, float)
        scale = np.abs(a[np.isfinite(a)]).max(initial=1e-3)
        close = _CLOSE[dtype] * scale
        if a.shape != b.shape or not np.allclose(a, b, 0, close, equal_nan=True):
            raise _unlike(model, "the same layers in Keras compute something else")


def _unlike(model: nn.Module, why: str) -> WeightsError:
    return WeightsError(
        f"{type(model).__name__} cannot be expressed in Keras layers: {why}."
    )

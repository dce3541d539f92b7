"""Change the head of a Keras model: its final softmax and its number of outputs."""

import dataclasses
from collections.abc import Callable

from fdl.keras.graph.description import Graph, Layer, Ref, with_options
from fdl.keras.graph.model import KerasModel


def with_logits(model: KerasModel, outputs: int | None = None) -> KerasModel:
    """Return a model that outputs logits: without a final softmax, if it has one.

    Args:
        model: The model; one with several outputs is returned unchanged.
        outputs: Number of outputs per example: a final `Dense` or `Conv2D` layer of
            another size is resized, and becomes trainable. None to leave it as it is.

    Example:
        >>> from fdl.keras.graph.read import read_model
        >>> config = {"name": "head", "units": 2, "activation": "softmax"}
        >>> dense = {"class_name": "Dense", "config": config}
        >>> config = {"layers": [dense], "build_input_shape": [None, 3]}
        >>> model = KerasModel(
        ...     read_model({"class_name": "Sequential", "config": config})
        ... )
        >>> options = with_logits(model, 5).graph.layers[-1].options
        >>> options["activation"], options["units"]
        ('linear', 5)
    """
    graph = _changed_at_end(model.graph, _without_softmax, _passes_on)
    if outputs is not None:
        change = lambda layer: _resized(layer, outputs)
        graph = _changed_at_end(graph, change, _only_reshapes)
    return dataclasses.replace(model, graph=graph)


def _changed_at_end(
    graph: Graph, change: Callable[[Layer], Layer], passes: Callable[[Layer], bool]
) -> Graph:
    """Change layers from the end back to the first for which `passes` is false.

    A layer that is called several times, and all before it, stay as they are.
    """
    layers, end = list(graph.layers), graph.outputs
    while isinstance(end, Ref):
        call = graph.calls[end.call]
        layer = graph.layers[call.layer]
        if sum(each.layer == call.layer for each in graph.calls) > 1:
            break
        if layer.graph is not None:
            inner = _changed_at_end(layer.graph, change, passes)
            layers[call.layer] = dataclasses.replace(layer, graph=inner)
            break
        layers[call.layer] = change(layer)
        if not passes(layer):
            break
        end = call.args[0]
    return dataclasses.replace(graph, layers=tuple(layers))


def _passes_on(layer: Layer) -> bool:
    return layer.kind == "Activation" and layer.options["activation"] == "linear"


def _only_reshapes(layer: Layer) -> bool:
    return _passes_on(layer) or layer.kind in ("Flatten", "Reshape")


def _without_softmax(layer: Layer) -> Layer:
    if layer.kind == "Softmax" and layer.options["axis"] == -1:
        return Layer(layer.name, "Activation", _LINEAR, dtype=layer.dtype)
    if layer.options.get("activation") == "softmax":
        options = with_options(layer.options, activation="linear")
        return dataclasses.replace(layer, options=options)
    return layer


def _resized(layer: Layer, outputs: int) -> Layer:
    sizes = {"Dense": "units", "Conv2D": "filters", "Reshape": "target_shape"}
    name = sizes.get(layer.kind)
    size = (outputs,) if name == "target_shape" else outputs
    if name is None or layer.options[name] == size:
        return layer
    if name == "target_shape" and len(layer.options[name]) != 1:
        return layer
    options = with_options(layer.options, **{name: size})
    return dataclasses.replace(layer, options=options, trainable=True)


_LINEAR = with_options({}, activation="linear", activity_regularizer=None)

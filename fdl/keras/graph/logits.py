"""What a classifier of Keras computes before its last softmax."""

import dataclasses

from fdl.keras.graph.description import Graph, Layer, Ref, with_options
from fdl.keras.graph.model import KerasModel


def logits(model: KerasModel) -> KerasModel:
    """Return a model without the softmax that its single output ends with, if it does.

    Example:
        >>> from fdl.keras.graph.read import read_model
        >>> config = {"name": "head", "units": 2, "activation": "softmax"}
        >>> dense = {"class_name": "Dense", "config": config}
        >>> config = {"layers": [dense], "build_input_shape": [None, 3]}
        >>> model = KerasModel(
        ...     read_model({"class_name": "Sequential", "config": config})
        ... )
        >>> logits(model).graph.layers[-1].options["activation"]
        'linear'
    """
    return dataclasses.replace(model, graph=_without(model.graph))


def _without(graph: Graph) -> Graph:
    end = graph.outputs
    if not isinstance(end, Ref):
        return graph
    call = graph.calls[end.call]
    layer = graph.layers[call.layer]
    once = sum(each.layer == call.layer for each in graph.calls) == 1
    if layer.graph is not None and once:
        changed = dataclasses.replace(layer, graph=_without(layer.graph))
    elif layer.kind == "Softmax" and once and layer.options["axis"] == -1:
        changed = Layer(layer.name, "Activation", _LINEAR, dtype=layer.dtype)
    elif layer.options.get("activation") == "softmax" and once:
        options = with_options(layer.options, activation="linear")
        changed = dataclasses.replace(layer, options=options)
    else:
        return graph
    layers = list(graph.layers)
    layers[call.layer] = changed
    return dataclasses.replace(graph, layers=tuple(layers))


_LINEAR = with_options({}, activation="linear", activity_regularizer=None)

"""Give a Keras twin the weights of an fdl model: layers are matched by name."""

from typing import Any

import numpy as np

# The order in which Keras lists the variables of a layer.
ORDER = ("kernel", "bias")


def copy_to_keras(params: Any, twin: Any) -> None:
    """Set every weight of `twin`; layers without weights are passed over."""
    layers = {layer.name: layer for layer in twin.layers if layer.weights}
    assert layers.keys() == params.keys(), (layers.keys(), params.keys())
    for name, layer in layers.items():
        layer.set_weights([np.asarray(params[name][weight]) for weight in ORDER])


def by_name(twin: Any, values: Any) -> dict[str, Any]:
    """Arrange values, one for each trainable weight of `twin`, as fdl's parameters."""
    tree: dict[str, Any] = {}
    for variable, value in zip(twin.trainable_weights, values, strict=True):
        layer, weight = variable.path.split("/")[-2:]
        tree.setdefault(layer, {})[weight] = np.asarray(value)
    return tree

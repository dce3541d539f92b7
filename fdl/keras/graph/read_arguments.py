"""Read the arguments of calls in the config of a Keras model."""

from typing import Any

import numpy as np
from flax.core import FrozenDict

from fdl.keras.graph.description import Constant, Slice, freeze
from fdl.untrusted import shortened

MOST_LAYERS = 20_000


class Named:
    """An output that a config refers to by the name of its layer."""

    def __init__(self, layer: str, node: int, output: int) -> None:
        """Take the name of a layer, the index of its call, and that of the output."""
        self.layer, self.node, self.output = layer, node, output


def history(value: Any) -> tuple[str, int, int]:
    """Read the name of a layer, the index of its call, and that of the output."""
    name, node, output = value
    if not isinstance(name, str) or type(node) is not int or type(output) is not int:
        raise ValueError(f"an output has the history {quoted(value)}")
    if not 0 <= node < MOST_LAYERS or not 0 <= output < MOST_LAYERS:
        raise ValueError(f"an output has the history {quoted(value)}")
    return name, node, output


def argument(value: Any) -> Any:
    """Read an argument of a call."""
    if isinstance(value, list):
        return tuple(argument(each) for each in value)
    if not isinstance(value, dict):
        return value
    kind = value.get("class_name")
    config: Any = value.get("config")
    match kind:
        case "__keras_tensor__":
            return Named(*history(config["keras_history"]))
        case "__tuple__":
            return tuple(argument(each) for each in config["value"])
        case "__slice__":
            return Slice(config["start"], config["stop"], config["step"])
        case "__ellipsis__":
            return ...
        case "__tensor__" | "__numpy__":
            array = np.asarray(config["value"], dtype(config["dtype"]))
            return Constant(freeze(array.tolist()), array.dtype.name)
    if "class_name" in value:
        raise ValueError(f"an argument has the class {quoted(kind)}")
    return FrozenDict({key: argument(each) for key, each in value.items()})


def resolve(function: Any, tree: Any) -> Any:
    """Apply a function to the leaves of nested tuples and frozen dictionaries."""
    if isinstance(tree, FrozenDict):
        return FrozenDict({key: resolve(function, each) for key, each in tree.items()})
    if isinstance(tree, tuple) and not hasattr(tree, "_fields"):
        return tuple(resolve(function, each) for each in tree)
    return function(tree)


def dtype(name: Any) -> str:
    """Read a numeric type."""
    if name == "bfloat16":
        return name
    if not isinstance(name, str) or np.dtype(name).kind not in "fiub":
        raise ValueError(f"an array has the type {quoted(name)}")
    return np.dtype(name).name


def quoted(value: Any) -> str:
    """Return an untrusted value for a message, shortened if it is long."""
    return shortened(repr(value), 80)

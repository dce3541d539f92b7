"""The parts of a graph while it is built."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

Shape = tuple[int | None, ...]
"""Sizes; None for those that depend on the batch size."""


class Out(NamedTuple):
    """An output of a node.

    Attributes:
        node: Index of the node.
        output: Index among the outputs of the node.
        shape: Shape in Keras, which may have sizes of 1 that the program has already
            broadcast.
        dtype: Its type.
    """

    node: int
    output: int
    shape: Shape
    dtype: Any


class Weight(NamedTuple):
    """A weight that is used outside a layer.

    Attributes:
        path: Path of the weight in the variables.
        classes: Classes of modules by their paths.
    """

    path: Any
    classes: Mapping[tuple[str, ...], str]

    def __str__(self) -> str:
        """Name the weight and its module for messages."""
        name = jax.tree_util.keystr(self.path, simple=True, separator="/")
        _, *names, last = name.split("/")
        kind = self.classes.get(tuple(names), "module")
        return f"the weight {last} of {'/'.join(names) or 'the model'} ({kind})"


@dataclasses.dataclass
class Node:
    """A call of a layer.

    Attributes:
        key: Key of the layer: equal for all calls of the same layer.
        kind: Class of the layer.
        options: Options of the layer; missing ones have Keras' defaults.
        args: Positional arguments: nested `Out`s, constants and numbers.
        kwargs: Keyword arguments.
        path: Path of the module that the layer stands for; empty if there is none.
        name: Name of the layer, if it has one.
    """

    key: Any
    kind: str
    options: dict[str, Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    path: tuple[str, ...] = ()
    name: str = ""

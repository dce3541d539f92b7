"""What a graph is built of while a module is read."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

Shape = tuple[int | None, ...]
"""Sizes; None for those that depend on the size of the batch."""


class Out(NamedTuple):
    """What a node gives.

    Attributes:
        node: Which node.
        output: Which of its outputs.
        shape: Its shape in Keras, which may have sizes of 1 where the program has
            broadcast them already.
        dtype: Its type.
    """

    node: int
    output: int
    shape: Shape
    dtype: Any


class Weight(NamedTuple):
    """A weight that is used outside of a layer.

    Attributes:
        path: Where it is in the variables.
        classes: The classes of modules by their paths.
    """

    path: Any
    classes: Mapping[tuple[str, ...], str]

    def __str__(self) -> str:
        """Name the weight and its module."""
        name = jax.tree_util.keystr(self.path, simple=True, separator="/")
        _, *names, last = name.split("/")
        kind = self.classes.get(tuple(names), "module")
        return f"the weight {last} of {'/'.join(names) or 'the model'} ({kind})"


@dataclasses.dataclass
class Node:
    """A call of a layer.

    Attributes:
        key: What calls of the same layer have in common.
        kind: The class of the layer.
        options: Its options; others have Keras' defaults.
        args: Its arguments: `Out`s, constants, numbers, nested.
        kwargs: Its arguments by name.
        path: The path of the module that it is; empty for others.
        name: Its name, if it has one.
    """

    key: Any
    kind: str
    options: dict[str, Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    path: tuple[str, ...] = ()
    name: str = ""

"""Collect calls of Keras layers while a program is read."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from fdl.keras.graph.description import Constant, Slice, freeze, leaves, map_leaves
from fdl.keras.tracing.modules import Described
from fdl.keras.tracing.nodes import Node, Out, Shape, Weight
from fdl.weights import WeightsError


class Builder:
    """Calls of layers, in topological order."""

    def __init__(self, batch: Any, dtype: str) -> None:
        """Start without calls.

        Args:
            batch: The symbolic batch size in the program.
            dtype: The type of the weights.
        """
        self.batch, self.dtype = batch, dtype
        self.nodes: list[Node] = []

    def shape(self, aval: Any) -> Shape:
        """Return a shape of the program, with None for symbolic sizes."""
        return tuple(None if export.is_symbolic_dim(n) else int(n) for n in aval.shape)

    def input(self, name: str, x: jax.ShapeDtypeStruct) -> Out:
        """Add an input."""
        shape, dtype = self.shape(x), x.dtype.name
        if jnp.issubdtype(x.dtype, jnp.floating) or dtype == "uint8":
            dtype = self.dtype  # otherwise, Keras would compute in the type of images
        options = {"batch_shape": shape, "dtype": dtype}
        self.nodes.append(Node(name, "InputLayer", options, (), name=name))
        return Out(len(self.nodes) - 1, 0, shape, x.dtype)

    def add(self, node: Node, shape: Shape, dtype: Any) -> Out:
        """Add a node with one output."""
        self.nodes.append(node)
        return Out(len(self.nodes) - 1, 0, shape, np.dtype(dtype))

    def layer(
        self, kind: str, options: dict[str, Any], args: tuple, shape: Any = None
    ) -> Out:
        """Add a layer without weights; its output has the type of its first input."""
        first = next(x for x in leaves(args) if isinstance(x, Out))
        shape = first.shape if shape is None else shape
        node = Node(len(self.nodes), kind, options, args)
        return self.add(node, shape, first.dtype)

    def op(
        self, kind: str, args: tuple, shape: Shape, dtype: Any, /, **options: Any
    ) -> Out:
        """Add a function of `keras.ops`, with its options."""
        args = map_leaves(_literal, args)
        return self.add(
            Node(len(self.nodes), f"ops.{kind}", options, args), shape, dtype
        )

    def call(
        self,
        made: Described,
        path: tuple[str, ...],
        args: Any,
        kwargs: Mapping[str, Any],
        shapes: list[Shape],
    ) -> list[Out]:
        """Add a call of a module or function that is a layer in Keras."""
        kwargs = {k: v for k, v in kwargs.items() if v is not None}
        dtypes: Any = [self.dtype] * len(shapes)
        given = [x for x in leaves((args, kwargs)) if isinstance(x, Out)]
        constant = not given
        if constant:  # Keras calls layers only on values that depend on the inputs
            (x,) = args
            zeros = self.zeros(1 + x.ndim, x.dtype)
            sizes = (None, *x.shape)
            args = (self.op("Add", (zeros, x), sizes, x.dtype),)
        args, kwargs = map_leaves(_literal, args), map_leaves(_literal, kwargs)
        key = path or len(self.nodes)
        node = Node(key, made.kind, dict(made.options), args, dict(kwargs), path)
        first = self.add(node, shapes[0], self.dtype)
        outs = [
            first._replace(output=number, shape=shape, dtype=np.dtype(dtype))
            for number, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True))
        ]
        if "mask" in kwargs:  # Keras propagates masks, but the program does not
            outs[0] = self.op("Copy", (outs[0],), shapes[0], self.dtype)
        if constant:
            whole = first._replace(shape=(None, *shapes[0]))
            outs = [self.op("GetItem", (whole, 0), shapes[0], self.dtype)]
        return outs

    def zeros(self, rank: int, dtype: Any) -> Out:
        """Return zeros of the shape `(batch, 1, 1, ...)`."""
        x = Out(0, 0, *self._first())
        key = (Slice(None, None, None), *(0,) * (len(x.shape) - 1))
        one = self.op("GetItem", (x, key), (None,), x.dtype)
        zeros = self.op("ZerosLike", (one,), (None,), dtype, dtype=np.dtype(dtype).name)
        shape = (-1, *(1,) * (rank - 1))
        return self.op("Reshape", (zeros,), (None, *shape[1:]), dtype, newshape=shape)

    def _first(self) -> tuple[Shape, Any]:
        options = self.nodes[0].options
        return options["batch_shape"], np.dtype(options["dtype"])

    def as_argument(self, value: Any) -> Any:
        """Return a value as an argument of a layer."""
        if isinstance(value, Weight):
            raise WeightsError(f"{value} is used in a way that no Keras layer supports")
        return value

    def as_output(self, value: Any, aval: Any) -> Out:
        """Return a value as an output of the model."""
        if not isinstance(self.as_argument(value), Out):
            raise WeightsError("an output does not depend on the inputs")
        return self.whole(value, aval)

    def whole(self, x: Any, aval: Any) -> Any:
        """Broadcast a value to its shape in the program."""
        shape = self.shape(aval)
        if not isinstance(x, Out) or x.shape == shape:
            return x
        if x.shape[0] != shape[0]:
            zeros = self.zeros(len(shape), x.dtype)
            x = self.op("Add", (x, zeros), (None, *x.shape[1:]), x.dtype)
        times = tuple(1 if a == b else b for a, b in zip(x.shape, shape, strict=True))
        if set(times) == {1}:
            return x
        return self.op("Tile", (x,), shape, x.dtype, repeats=times)


def _literal(x: Any) -> Any:
    """Convert an argument to plain data."""
    if isinstance(x, Out | Slice | Constant) or not hasattr(x, "dtype"):
        return x
    array = np.asarray(x)
    if array.ndim == 0:
        return array.item()
    return Constant(freeze(array.tolist()), array.dtype.name)

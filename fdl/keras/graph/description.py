"""A Keras model as plain data: its layers, and the outputs that go into each call.

Everything here is immutable, comparable and hashable, so that a module with a `Graph`
as an attribute can be a static argument of compiled programs.
"""

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from flax.core import FrozenDict

from fdl.weights import WeightsError

Options = Mapping[str, Any]
NO_OPTIONS: Options = FrozenDict()
_GEOMETRIC = "CenterCrop", "Cropping2D", "Resizing", "ZeroPadding2D"


class Ref(NamedTuple):
    """An output of a call.

    Attributes:
        call: Index of the call in the graph.
        output: Index of the output.
    """

    call: int
    output: int


class Constant(NamedTuple):
    """A constant array in the graph.

    Attributes:
        value: Its elements, as nested tuples.
        dtype: Its type.
    """

    value: Any
    dtype: str


class Slice(NamedTuple):
    """A range of an axis, as in `x[start:stop:step]`."""

    start: int | None
    stop: int | None
    step: int | None


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer.

    Attributes:
        name: Its name in Keras.
        kind: Its class in Keras; functions of `keras.ops` start with `ops.`.
        options: All of its options.
        trainable: Whether it is trained, provided that the models around it are.
        dtype: Its compute type.
        variable_dtype: The type of its weights.
        graph: The graph of a nested model; None for other layers.
        built: Input shape with which Keras built a layer that serves as an activation,
            without which it cannot read its weights; None if it is not known.
    """

    name: str
    kind: str
    options: Options = NO_OPTIONS
    trainable: bool = True
    dtype: str = "float32"
    variable_dtype: str = "float32"
    graph: "Graph | None" = None
    built: tuple[int | None, ...] | None = None

    def __str__(self) -> str:
        """Name the layer for messages."""
        return f"{self.name!r} ({self.kind})"


class Call(NamedTuple):
    """A call of a layer; those of inputs have no arguments.

    Attributes:
        layer: Index of the layer in the graph.
        args: Positional arguments: nested tuples and dictionaries of `Ref`, `Constant`,
            `Slice`, numbers, strings and None.
        kwargs: Keyword arguments.
    """

    layer: int
    args: tuple[Any, ...] = ()
    kwargs: Options = NO_OPTIONS


@dataclasses.dataclass(frozen=True)
class Graph:
    """A model: layers, and calls of them in topological order.

    Attributes:
        name: Its name in Keras.
        kind: `Functional` or `Sequential`.
        layers: Its layers, in the order of the file.
        calls: Calls of the layers.
        inputs: The inputs: a `Ref`, or nested tuples and dictionaries of them.
        outputs: The outputs, likewise.
        keras2: Whether it is a Keras 2 model, whose masks propagate differently.
    """

    name: str
    kind: str
    layers: tuple[Layer, ...]
    calls: tuple[Call, ...]
    inputs: Any
    outputs: Any
    keras2: bool = False

    def __repr__(self) -> str:
        """List the calls with their arguments."""
        return "\n".join([f"{self.kind} {self.name!r}", *self._lines("  ")])

    def _lines(self, indent: str) -> Iterator[str]:
        label = lambda ref: self.label(ref)
        for call in self.calls:
            layer = self.layers[call.layer]
            if layer.kind == "InputLayer":
                shape = (layer.options["batch_shape"] or ())[1:]
                yield f"{indent}{layer.name} = Input({_shown(shape, label)})"
                continue
            args = [_shown(each, label) for each in call.args]
            args += [
                f"{name}={_shown(each, label)}"
                for name, each in call.kwargs.items()
                if each is not None
            ]
            frozen = "" if layer.trainable else "  # not trained"
            yield f"{indent}{layer.name} = {layer.kind}({', '.join(args)}){frozen}"
            if layer.graph:
                yield from layer.graph._lines(indent + "  ")
        yield f"{indent}return {_shown(self.outputs, label)}"

    def label(self, ref: Ref) -> str:
        """Return the name of the layer of an output, with `[1]` for its second."""
        return self._labels[ref.call] + (f"[{ref.output}]" if ref.output else "")

    @functools.cached_property
    def _labels(self) -> list[str]:
        """The name of each call's layer, with `#1`, `#2` if it is called repeatedly."""
        names = [self.layers[call.layer].name for call in self.calls]
        counts, seen = Counter(names), Counter[str]()
        labels = []
        for name in names:
            seen[name] += 1
            labels.append(f"{name}#{seen[name]}" if counts[name] > 1 else name)
        return labels

    @property
    def rescales(self) -> bool:
        """Whether the model itself scales pixels of 0 to 255, by a first `Rescaling`.

        Layers that augment, crop, resize or pad images may come before it.
        """
        kinds = [self.layers[call.layer].kind for call in self.calls]
        sources = {index for index, kind in enumerate(kinds) if kind == "InputLayer"}
        found = []
        for index, call in enumerate(self.calls):
            layer = self.layers[call.layer]
            if not any(isinstance(x, Ref) and x.call in sources for x in call.args):
                continue
            if layer.kind.startswith("Random") or layer.kind in _GEOMETRIC:
                sources.add(index)
            elif layer.graph is not None:
                found.append(layer.graph.rescales)
            else:
                shrinks = np.max(np.abs(layer.options.get("scale", 1))) < 1
                found.append(layer.kind == "Rescaling" and bool(shrinks))
        return bool(found) and all(found)

    @property
    def runs(self) -> int:
        """Number of layer runs, counting those of a nested model at each call."""
        inner = [layer.graph.runs if layer.graph else 1 for layer in self.layers]
        return sum(inner[call.layer] for call in self.calls)


def freeze(value: Any) -> Any:
    """Convert parsed JSON to immutable data.

    Example:
        >>> freeze({"axes": [1, 2]})
        FrozenDict({
            axes: (1, 2),
        })
    """
    if isinstance(value, dict | FrozenDict):
        return FrozenDict({key: freeze(each) for key, each in value.items()})
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return tuple(freeze(each) for each in value)
    return value


def with_options(options: Options, **changes: Any) -> Options:
    """Return options with some changed.

    Example:
        >>> dict(with_options(freeze({"a": 1, "b": 2}), b=3))
        {'a': 1, 'b': 3}
    """
    return FrozenDict({**options, **changes})


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """Apply a function to the leaves of nested tuples, lists and dictionaries.

    Example:
        >>> map_leaves(str, (1, {"a": 2}))
        ('1', {'a': '2'})
    """
    if isinstance(tree, dict | FrozenDict):
        return {key: map_leaves(function, each) for key, each in tree.items()}
    if isinstance(tree, list | tuple) and not hasattr(tree, "_fields"):
        return tuple(map_leaves(function, each) for each in tree)
    return function(tree)


def leaves(tree: Any) -> list[Any]:
    """Return the leaves of nested tuples, lists and dictionaries, in order.

    Example:
        >>> leaves((1, {"a": 2}))
        [1, 2]
    """
    found: list[Any] = []
    map_leaves(found.append, tree)
    return found


def refuse(layer: str, why: str) -> WeightsError:
    """Return the error for a layer that cannot be imported."""
    return WeightsError(f"layer {layer} {why}")


def _shown(tree: Any, label: Callable[[Ref], str]) -> str:
    if isinstance(tree, Ref):
        return label(tree)
    if isinstance(tree, Slice):
        return ":".join("" if end is None else str(end) for end in tree)
    if isinstance(tree, Constant):
        return f"<{tree.dtype}>"
    if isinstance(tree, dict | FrozenDict):
        items = (f"{key!r}: {_shown(each, label)}" for key, each in tree.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(tree, tuple):
        return "[" + ", ".join(_shown(each, label) for each in tree) + "]"
    return repr(tree)

"""A Keras model as plain data: its layers, and which outputs go into which call.

Everything here is immutable and can be compared and hashed, so that a model that has a
`Graph` for an attribute is static in compiled programs.
"""

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from flax.core import FrozenDict

from fdl.weights import WeightsError

Options = Mapping[str, Any]
NO_OPTIONS: Options = FrozenDict()


class Ref(NamedTuple):
    """An output of a call.

    Attributes:
        call: Which of the graph's calls.
        output: Which of its outputs.
    """

    call: int
    output: int


class Constant(NamedTuple):
    """An array that stands in the graph.

    Attributes:
        value: Its numbers, as nested tuples.
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
        kind: Its class in Keras; functions of `keras.ops` begin with `ops.`.
        options: Its options, all of them.
        trainable: Whether it is trained, together with what is around it.
        dtype: The type in which it computes.
        variable_dtype: The type of its weights.
        graph: What a nested model consists of; None for other layers.
    """

    name: str
    kind: str
    options: Options = NO_OPTIONS
    trainable: bool = True
    dtype: str = "float32"
    variable_dtype: str = "float32"
    graph: "Graph | None" = None

    def __str__(self) -> str:
        """Name the layer in messages."""
        return f"{self.name!r} ({self.kind})"


class Call(NamedTuple):
    """A use of a layer; those of inputs have no arguments.

    Attributes:
        layer: Which of the graph's layers.
        args: Its arguments: nested tuples and dictionaries of `Ref`, `Constant`,
            `Slice`, numbers, texts and None.
        kwargs: Its arguments by name.
    """

    layer: int
    args: tuple[Any, ...] = ()
    kwargs: Options = NO_OPTIONS


@dataclasses.dataclass(frozen=True)
class Graph:
    """A model: layers, and calls of them in an order in which they can be made.

    Attributes:
        name: Its name in Keras.
        kind: `Functional` or `Sequential`.
        layers: Its layers, in the order of the file.
        calls: Uses of the layers.
        inputs: The inputs: a `Ref`, or nested tuples and dictionaries of them.
        outputs: The outputs, likewise.
        keras2: Whether Keras 2 made it, where masks go another way.
    """

    name: str
    kind: str
    layers: tuple[Layer, ...]
    calls: tuple[Call, ...]
    inputs: Any
    outputs: Any
    keras2: bool = False

    def __repr__(self) -> str:
        """List the calls, each with what goes into it."""
        return "\n".join([f"{self.kind} {self.name!r}", *self._lines("  ")])

    def _lines(self, indent: str) -> Iterator[str]:
        label = lambda ref: self.label(ref)
        for call in self.calls:
            layer = self.layers[call.layer]
            if layer.kind == "InputLayer":
                shape = (layer.options["batch_shape"] or ())[1:]
                yield f"{indent}{layer.name} = Input({_shown(shape, label)})"
                continue
            told = [_shown(each, label) for each in call.args]
            told += [
                f"{name}={_shown(each, label)}"
                for name, each in call.kwargs.items()
                if each is not None
            ]
            frozen = "" if layer.trainable else "  # not trained"
            yield f"{indent}{layer.name} = {layer.kind}({', '.join(told)}){frozen}"
            if layer.graph:
                yield from layer.graph._lines(indent + "  ")
        yield f"{indent}return {_shown(self.outputs, label)}"

    def label(self, ref: Ref) -> str:
        """Return the name of the layer that an output is of, and which, if several."""
        return self._labels[ref.call] + (f"[{ref.output}]" if ref.output else "")

    @functools.cached_property
    def _labels(self) -> list[str]:
        """The name of each call's layer, and which of its calls it is, if several."""
        names = [self.layers[call.layer].name for call in self.calls]
        counts, seen = Counter(names), Counter[str]()
        labels = []
        for name in names:
            seen[name] += 1
            labels.append(f"{name}#{seen[name]}" if counts[name] > 1 else name)
        return labels

    @property
    def runs(self) -> int:
        """How many layers run, where a model within runs as often as it is called."""
        inner = [layer.graph.runs if layer.graph else 1 for layer in self.layers]
        return sum(inner[call.layer] for call in self.calls)


def freeze(value: Any) -> Any:
    """Return what JSON says as immutable data.

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
    """Apply a function to what nested tuples and dictionaries hold.

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
    """Return what nested tuples and dictionaries hold, in order.

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

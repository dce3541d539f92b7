"""Turn the nodes of a builder into a graph."""

from typing import Any, NamedTuple

import jax
from flax.core import FrozenDict

from fdl.arrays import PyTree
from fdl.keras.graph.description import Call, Graph, Layer, Ref, freeze, map_leaves
from fdl.keras.layers import snake_case
from fdl.keras.table import LAYERS
from fdl.keras.table.options import ACTIVITY, checked
from fdl.keras.tracing import modules
from fdl.keras.tracing.builder import Builder
from fdl.keras.tracing.nodes import Node, Out
from fdl.keras.tracing.order import in_order
from fdl.keras.tracing.simplify import simplified
from fdl.weights import WeightsError


class Traced(NamedTuple):
    """A module as a graph.

    Attributes:
        graph: The graph.
        paths: Path of the module of each layer with weights, by the name of the layer.
    """

    graph: Graph
    paths: dict[str, tuple[str, ...]]


def finished(
    builder: Builder, name: str, inputs: Any, answer: Any, refs: list, outs: list
) -> Traced:
    """Return the graph of a builder's nodes."""
    nodes = simplified(builder.nodes, outs)
    layers: list[Layer] = []
    numbers: dict[Any, int] = {}
    paths: dict[str, tuple[str, ...]] = {}
    calls: list[Call] = []
    places: dict[int, int] = {}
    taken: set[str] = set()

    def ref(leaf: Any) -> Any:
        return Ref(places[leaf.node], leaf.output) if isinstance(leaf, Out) else leaf

    for number, node in nodes:
        if node.key not in numbers:
            layer = _layer_of(node, builder.dtype, taken)
            numbers[node.key] = len(layers)
            layers.append(layer)
            taken.add(layer.name)
            if node.path:
                paths[layer.name] = node.path
        places[number] = len(calls)
        args = freeze(map_leaves(ref, node.args))
        kwargs = FrozenDict(
            {k: freeze(map_leaves(ref, v)) for k, v in node.kwargs.items()}
        )
        calls.append(Call(numbers[node.key], args, kwargs))
    nested = jax.tree.unflatten(jax.tree.structure(inputs), [ref(x) for x in refs])
    ends = plain(jax.tree.unflatten(jax.tree.structure(answer), [ref(x) for x in outs]))
    begins = plain(nested[0] if len(nested) == 1 else nested)
    is_chain = all(
        call == Call(number, (Ref(number - 1, 0),))
        and not layer.kind.startswith("ops.")
        for number, (call, layer) in enumerate(zip(calls, layers, strict=False))
        if number
    )
    is_chain &= len(calls) == len(layers) and ends == Ref(len(calls) - 1, 0)
    kind = "Sequential" if is_chain else "Functional"
    graph = Graph(name, kind, tuple(layers), tuple(calls), begins, ends)
    return Traced(in_order(graph), paths)


def plain(tree: Any) -> PyTree:
    """Nest outputs as Keras does: named tuples become dictionaries."""
    if isinstance(tree, Ref):
        return tree
    names: Any = getattr(tree, "_asdict", None)
    tree = tree if names is None else names()
    if isinstance(tree, dict | FrozenDict):
        return FrozenDict({key: plain(each) for key, each in tree.items()})
    return tuple(map(plain, tree)) if isinstance(tree, tuple | list) else tree


def _layer_of(node: Node, dtype: str, taken: set[str]) -> Layer:
    named = "_".join(node.path) if node.kind != "Dropout" else ""
    name = named or node.name or snake_case(node.kind.removeprefix("ops."))
    stem, count = name, 1
    while name in taken:
        name, count = f"{stem}_{count}", count + 1
    return made_layer(name, node.kind, node.options, dtype)


def made_layer(name: str, kind: str, options: dict[str, Any], dtype: str) -> Layer:
    """Return a layer with all of its options."""
    if kind == "InputLayer":
        return Layer(name, kind, freeze(options))
    if "graph" in options:
        return Layer(name, kind, graph=options["graph"])
    if kind not in LAYERS:
        raise WeightsError(f"the layer {name} is a {kind}, which fdl does not support")
    known = dict(LAYERS[kind].options)
    if kind.startswith("ops."):
        return Layer(name, kind, checked(known, options))
    known["activity_regularizer"] = ACTIVITY
    for key, value in options.items():
        if isinstance(value, modules.Described):
            inner = made_layer(snake_case(value.kind), value.kind, value.options, dtype)
            options = options | {key: inner}
    return Layer(name, kind, checked(known, options), True, dtype, dtype)

"""Put the layers of a graph into the order in which Keras lists and numbers them."""

from collections.abc import Iterator
from typing import Any

from flax.core import FrozenDict

from fdl.keras.graph.description import Call, Graph, Ref


def in_order(graph: Graph) -> Graph:
    """Return a graph with its layers in Keras' order.

    Layers farther from the outputs come first; among layers at the same distance, those
    that are reached first in a depth-first search from the outputs.
    """
    finished, met = _traversed(graph)
    depths: dict[int, int] = {}
    layers: dict[int, int] = {}
    for number in reversed(finished):
        layer = graph.calls[number].layer
        depth = max(depths.get(number, 0), layers.get(layer, 0))
        depths[number] = layers[layer] = depth
        for ref in _refs(graph.calls[number]):
            depths[ref.call] = max(depth + 1, depths.get(ref.call, 0))
    place = lambda layer: (-layers.get(layer, 0), met.get(layer, -1))
    order = sorted(range(len(graph.layers)), key=place)
    numbers = {old: new for new, old in enumerate(order)}
    return Graph(
        graph.name,
        graph.kind,
        tuple(graph.layers[old] for old in order),
        tuple(call._replace(layer=numbers[call.layer]) for call in graph.calls),
        graph.inputs,
        graph.outputs,
    )


def _traversed(graph: Graph) -> tuple[list[int], dict[int, int]]:
    """Return calls in topological order, and the order in which layers are reached."""
    finished: dict[int, None] = {}
    met: dict[int, int] = {}
    started: set[int] = set()
    waiting = [ref.call for ref in reversed(list(_flat(graph.outputs)))]
    while waiting:
        number = waiting[-1]
        if number in finished or number in started:
            waiting.pop()
            finished.setdefault(number)
            continue
        started.add(number)
        met.setdefault(graph.calls[number].layer, len(met))
        waiting += [ref.call for ref in reversed(list(_refs(graph.calls[number])))]
    return list(finished), met


def _refs(call: Call) -> Iterator[Ref]:
    return _flat((call.args, call.kwargs))


def _flat(tree: Any) -> Iterator[Ref]:
    """Yield references in Keras' order, which sorts the keys of dictionaries."""
    if isinstance(tree, Ref):
        yield tree
    elif isinstance(tree, dict | FrozenDict):
        for key in sorted(tree):
            yield from _flat(tree[key])
    elif isinstance(tree, tuple) and not hasattr(tree, "_fields"):
        for each in tree:
            yield from _flat(each)

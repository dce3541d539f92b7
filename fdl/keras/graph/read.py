"""Read the config of a Keras model into a `Graph`, checking every part of it.

Configs are untrusted: classes are looked up in the table of layers, never imported, and
anything that is not in the table is an error that names the layer.
"""

import dataclasses
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from flax.core import FrozenDict

from fdl.keras.graph.description import Call, Graph, Layer, Ref, leaves, refuse
from fdl.keras.graph.keras2 import rewritten
from fdl.keras.graph.read_arguments import Named, argument, history, quoted, resolve
from fdl.keras.graph.read_layer import MODELS, LayerReader, input_layer
from fdl.keras.table import LAYERS
from fdl.untrusted import reason, require_shallow, shortened
from fdl.weights import WeightsError

Node = tuple[int, int]
"""A call: index of the layer, and index among the calls of the layer."""

_FIRST = ("inputs", "data", "query", "sequences", "x")
"""Names of the first argument of Keras layers."""

_MOST_DEPTH = 20  # levels of nested models
_MOST_RUNS = 10_000  # runs of layers; a NASNetLarge has 1,041
_MOST_VALUES = 1 << 20  # values in a config, including the elements of constants


def read_model(
    config: Any, custom: Collection[str] = (), *, keras2: bool = False
) -> Graph:
    """Return the graph of a model.

    Args:
        config: The parsed `config.json` of a `.keras` file, or `model.to_json()`.
        custom: Names of custom classes for which there are modules.
        keras2: Whether Keras 2 wrote the config.

    Raises:
        WeightsError: If the config is damaged or a layer is not supported; the message
            names the layer and the reason.
    """
    try:
        require_shallow(config)
        _require_few(config)
        if keras2:
            config = rewritten(config, custom)
        graph = _model(config, frozenset(custom), "", 0)
        if graph.runs > _MOST_RUNS:
            raise WeightsError(
                f"the model runs {graph.runs:,} layers, more than {_MOST_RUNS:,}."
            )
        return dataclasses.replace(graph, keras2=keras2)
    except WeightsError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as why:
        raise WeightsError(
            f"the model's config is not one that Keras writes: {reason(why)}."
        ) from why


def read_recorded(config: Mapping[str, Any]) -> Graph:
    """Return the graph that fdl recorded in the `config.json` of a run.

    Raises:
        WeightsError: If it is damaged.
    """
    graph = read_model(config.get("keras_model"))
    return dataclasses.replace(graph, keras2=config.get("keras_version") == 2)


def _model(config: Any, custom: frozenset[str], where: str, depth: int) -> Graph:
    kind, inner = config["class_name"], config["config"]
    if kind not in MODELS:
        raise WeightsError(
            f"the model is a {quoted(kind)}, a custom class: only Sequential and "
            "Functional models have a graph. Build it from layers with keras.Model("
            "inputs, outputs)."
        )
    if depth > _MOST_DEPTH:
        raise WeightsError(
            f"the model nests models more than {_MOST_DEPTH} levels deep."
        )
    name = inner.get("name", kind.lower())
    if not isinstance(name, str):
        raise ValueError(f"a model is named {quoted(name)}")
    where = f"{where}{shortened(name)}/" if depth else ""
    reader = _Reader(custom, where, depth)
    layers = inner["layers"]
    if kind == "Sequential":
        return reader.sequential(name, layers, inner.get("build_input_shape"))
    return reader.functional(
        name, layers, inner["input_layers"], inner["output_layers"]
    )


class _Reader:
    """Reader of the layers and calls of one model."""

    def __init__(self, custom: frozenset[str], where: str, depth: int) -> None:
        self.where = where
        nested = lambda config: _model(config, custom, where, depth + 1)
        self.layer = LayerReader(custom, where, nested)

    def sequential(self, name: str, configs: list[Any], built: Any) -> Graph:
        """Read a model whose layers follow one another."""
        layers = [self._layer(configs, number) for number in range(len(configs))]
        if not layers or layers[0].kind != "InputLayer":
            shape = _first_shape(configs) or built
            layers.insert(0, input_layer(_free("input_layer", layers), shape))
        self._require_names(layers)
        calls = [Call(0)]
        for number in range(1, len(layers)):
            calls.append(Call(number, (Ref(number - 1, 0),)))
        first, last = Ref(0, 0), Ref(len(calls) - 1, 0)
        return Graph(name, "Sequential", tuple(layers), tuple(calls), first, last)

    def functional(self, name: str, configs: Any, inputs: Any, outputs: Any) -> Graph:
        """Read a model whose layers form a graph."""
        layers = []
        given: dict[Node, tuple[tuple, FrozenDict]] = {}
        for number, config in enumerate(configs):
            layer = self._layer(configs, number)
            layers.append(layer)
            nodes = config.get("inbound_nodes") or [None]
            if layer.kind == "InputLayer":
                nodes = [None]
            for node, each in enumerate(nodes):
                given[number, node] = self._node(layer, each)
        self._require_names(layers)
        numbers = {layer.name: number for number, layer in enumerate(layers)}
        places: dict[Node, int] = {}  # indices of nodes in `calls`
        calls: list[Call] = []

        def key_of(leaf: Named) -> Node:
            if leaf.layer not in numbers:
                raise WeightsError(
                    f"the model calls a layer {quoted(leaf.layer)}, which it does not "
                    "have."
                )
            return numbers[leaf.layer], leaf.node

        def ref(leaf: Any) -> Any:
            if not isinstance(leaf, Named):
                return leaf
            return Ref(places[key_of(leaf)], leaf.output)

        needs = {
            node: {key_of(leaf) for leaf in leaves(each) if isinstance(leaf, Named)}
            for node, each in given.items()
        }
        order = _in_order(needs)
        if len(order) < len(needs):
            number = min(needs.keys() - order)[0]
            raise refuse(
                self._at(layers[number]),
                "needs an output that nothing in the model computes.",
            )
        for node in order:
            args, kwargs = given[node]
            places[node] = len(calls)
            calls.append(Call(node[0], resolve(ref, args), resolve(ref, kwargs)))
        named = [self._ends(each, layers, numbers) for each in (inputs, outputs)]
        for leaf in leaves(named):
            if key_of(leaf) not in places:
                raise WeightsError(
                    f"the model has no output {leaf.node} of {quoted(leaf.layer)}."
                )
        for leaf in leaves(named[0]):
            if layers[numbers[leaf.layer]].kind != "InputLayer":
                raise WeightsError(
                    f"the input {quoted(leaf.layer)} is not an InputLayer."
                )
        return Graph(
            name,
            "Functional",
            tuple(layers),
            tuple(calls),
            resolve(ref, named[0]),
            resolve(ref, named[1]),
        )

    def _layer(self, configs: Any, number: int) -> Layer:
        """Read a layer; if it is refused, say where in the model it is."""
        try:
            return self.layer(configs[number])
        except WeightsError as error:
            if " It is layer " in str(error):  # raised in a nested model
                raise
            before = _sources(configs[number].get("inbound_nodes"))
            if not before and number:
                before = [str(configs[number - 1]["config"].get("name"))]
            after = f", after {', '.join(map(quoted, before[:3]))}" if before else ""
            raise WeightsError(
                f"{error} It is layer {number + 1} of {len(configs)}{after}."
            ) from error

    def _node(self, layer: Layer, node: Any) -> tuple[tuple, FrozenDict]:
        """Read a call of a layer."""
        if node is None:
            return (), FrozenDict()
        args = tuple(argument(each) for each in node["args"])
        kwargs = dict(node["kwargs"])
        first = next((name for name in _FIRST if name in kwargs), None)
        if first is not None and not args:
            args = (argument(kwargs.pop(first)),)
        entry = LAYERS.get(layer.kind)
        known = ("mask", *(entry.kwargs if entry else ()))
        found = {}
        for key, value in kwargs.items():
            if key == "training":  # Keras overrides it in training and prediction
                continue
            found[key] = argument(value)
            if key not in known and found[key] is not None:
                raise refuse(
                    self._at(layer), f"is called with {key}=, which is not supported."
                )
        return args, FrozenDict({k: v for k, v in found.items() if v is not None})

    def _ends(self, tree: Any, layers: list[Layer], numbers: dict[str, int]) -> Any:
        """Read the inputs or outputs of a model."""
        if isinstance(tree, dict):
            return FrozenDict(
                {key: self._ends(each, layers, numbers) for key, each in tree.items()}
            )
        if len(tree) == 3 and isinstance(tree[0], str):
            name, node, output = history(tree)
            if name in numbers and layers[numbers[name]].kind in (
                "Functional",
                "Model",
            ):
                # Keras counts the model's own construction as a call.
                node = max(node - 1, 0)
            return Named(name, node, output)
        ends = tuple(self._ends(each, layers, numbers) for each in tree)
        return ends

    def _require_names(self, layers: list[Layer]) -> None:
        names = [layer.name for layer in layers]
        seen: set[str] = set()
        for name in names:
            if name in seen:
                raise WeightsError(f"the model has two layers {quoted(name)}.")
            seen.add(name)

    def _at(self, layer: Layer) -> str:
        return f"{self.where}{layer}"


def _in_order(needs: Mapping[Node, set[Node]]) -> list[Node]:
    """Return nodes in topological order, otherwise in the order given.

    Nodes that need missing nodes, or are in a cycle, are left out.
    """
    place = {node: number for number, node in enumerate(needs)}
    rest = {node: len(each) for node, each in needs.items()}
    users: dict[Node, list[Node]] = {}
    for node, each in needs.items():
        for need in each:
            users.setdefault(need, []).append(node)
    # The number of passes over the nodes, in the order given, before each is ready.
    rounds = {node: 0 for node, count in rest.items() if not count}
    ready = deque(rounds)
    made = []
    while ready:
        need = ready.popleft()
        made.append(need)
        for node in users.get(need, ()):
            again = place[need] > place[node]
            rounds[node] = max(rounds.get(node, 0), rounds[need] + again)
            rest[node] -= 1
            if not rest[node]:
                ready.append(node)
    return sorted(made, key=lambda node: (rounds[node], place[node]))


def _sources(nodes: Any) -> list[str]:
    """Return the names of the layers whose outputs go into calls."""
    found = [
        each["keras_history"][0]
        for each in _all(nodes)
        if isinstance(each, dict) and each.get("keras_history")
    ]
    return list(dict.fromkeys(map(str, found)))


def _first_shape(configs: list[Any]) -> Any:
    if not configs:
        return None
    first = configs[0]
    shape = first["config"].get("batch_input_shape")
    built = first.get("build_config")
    if shape is None and isinstance(built, dict):
        shape = built.get("input_shape")
        if isinstance(shape, list) and shape:
            shape = [None, *shape[1:]]
    return shape


def _free(name: str, layers: list[Layer]) -> str:
    names = {layer.name for layer in layers}
    while name in names:
        name += "_"
    return name


def _require_few(config: Any) -> None:
    count = sum(1 for _ in _all(config))
    if count > _MOST_VALUES:
        raise ValueError(f"it has {count:,} values, more than {_MOST_VALUES:,}")


def _all(tree: Any) -> Iterator[Any]:
    waiting = [tree]
    while waiting:
        each = waiting.pop()
        yield each
        if isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)

"""From the JSON of a Keras model to a `Graph`, with every word of it checked.

What is read here may come from anyone: classes are looked up in the table, never
imported, and whatever the table does not know is refused, with the layer's name.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from flax.core import FrozenDict

from fdl.keras.graph.description import (
    Call,
    Constant,
    Graph,
    Layer,
    Ref,
    Slice,
    freeze,
    leaves,
    refuse,
    with_options,
)
from fdl.keras.graph.keras2 import MODELS, rewritten
from fdl.keras.layers import snake_case
from fdl.keras.table import LAYERS, OUT_OF_SCOPE
from fdl.keras.table.options import ACTIVITY, NeedsLayer, checked
from fdl.untrusted import require_shallow, shortened
from fdl.weights import WeightsError

_MOST_LAYERS = 20_000
_MOST_DEPTH = 20  # models within models
_MOST_AXES = 8
_MOST_VALUES = 1 << 20  # of all constants in a graph
_TYPES = ("float16", "bfloat16", "float32", "float64")
_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}
_ALIASES = {"GroupQueryAttention": "GroupedQueryAttention"}
_GENERAL = ("name", "trainable", "dtype", "batch_input_shape", "autocast")


def read_model(
    config: Any, custom: Collection[str] = (), *, keras2: bool = False
) -> Graph:
    """Return the graph of a model.

    Args:
        config: What `config.json` of a `.keras` file holds, or `model.to_json()`.
        custom: Classes that are not Keras' and for which there are modules.
        keras2: Whether Keras 2 wrote it.

    Raises:
        WeightsError: Names the layer that cannot be read, and why.
    """
    try:
        require_shallow(config)
        _require_few(config)
        if keras2:
            config = rewritten(config, custom)
        return _model(config, frozenset(custom), "", 0)
    except WeightsError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as why:
        raise WeightsError(
            f"the model is described in a way that Keras never writes: {_told(why)}"
        ) from why


def _model(config: Any, custom: frozenset[str], where: str, depth: int) -> Graph:
    kind, inner = config["class_name"], config["config"]
    if kind not in MODELS:
        raise WeightsError(
            f"the model is a {_quoted(kind)}, a class of its own: only Sequential and "
            "Functional models have a graph. Build it from layers with keras.Model("
            "inputs, outputs)."
        )
    if depth > _MOST_DEPTH:
        raise WeightsError("has more models within models than any.")
    name = inner.get("name", kind.lower())
    if not isinstance(name, str):
        raise ValueError(f"a model named {name!r}")
    where = f"{where}{shortened(name)}/" if depth else ""
    reader = _Reader(custom, where, depth)
    layers = inner["layers"]
    if kind == "Sequential":
        return reader.sequential(name, layers, inner.get("build_input_shape"))
    return reader.functional(
        name, layers, inner["input_layers"], inner["output_layers"]
    )


class _Reader:
    """Reads the layers and calls of one model."""

    def __init__(self, custom: frozenset[str], where: str, depth: int) -> None:
        self.custom, self.where, self.depth = custom, where, depth
        self.nameless: Counter[str] = Counter()

    def sequential(self, name: str, configs: list[Any], built: Any) -> Graph:
        """Read a model whose layers follow one another."""
        layers = [self.layer(config) for config in configs]
        if not layers or layers[0].kind != "InputLayer":
            shape = _first_shape(configs) or built
            layers.insert(0, _input(_free("input_layer", layers), shape))
        self._require_names(layers)
        calls = [Call(0)]
        for number in range(1, len(layers)):
            calls.append(Call(number, (Ref(number - 1, 0),)))
        first, last = Ref(0, 0), Ref(len(calls) - 1, 0)
        return Graph(name, "Sequential", tuple(layers), tuple(calls), first, last)

    def functional(self, name: str, configs: Any, inputs: Any, outputs: Any) -> Graph:
        """Read a model whose layers make a graph."""
        layers = []
        waiting: list[tuple[int, int, Any]] = []  # layer, its node, what it needs
        for number, config in enumerate(configs):
            layer = self.layer(config)
            layers.append(layer)
            nodes = config.get("inbound_nodes") or [None]
            if layer.kind == "InputLayer":
                nodes = [None]
            for node, each in enumerate(nodes):
                waiting.append((number, node, self._node(layer, each)))
        self._require_names(layers)
        numbers = {layer.name: number for number, layer in enumerate(layers)}
        places: dict[tuple[int, int], int] = {}  # of a node among the calls
        calls: list[Call] = []

        def key_of(leaf: "_Named") -> tuple[int, int]:
            if leaf.layer not in numbers:
                raise WeightsError(
                    f"the model uses a layer {_quoted(leaf.layer)}, which it does not "
                    "have."
                )
            return numbers[leaf.layer], leaf.node

        def ref(leaf: Any) -> Any:
            if not isinstance(leaf, _Named):
                return leaf
            return Ref(places[key_of(leaf)], leaf.output)

        while waiting:
            later = []
            for number, node, (args, kwargs) in waiting:
                needs = [x for x in leaves((args, kwargs)) if isinstance(x, _Named)]
                if all(key_of(need) in places for need in needs):
                    places[number, node] = len(calls)
                    calls.append(
                        Call(number, _resolve(ref, args), _resolve(ref, kwargs))
                    )
                else:
                    later.append((number, node, (args, kwargs)))
            if len(later) == len(waiting):
                layer = layers[later[0][0]]
                raise refuse(
                    self._at(layer), "needs an output that nothing in the model makes."
                )
            waiting = later
        named = [self._ends(each, layers, numbers) for each in (inputs, outputs)]
        for leaf in leaves(named):
            if key_of(leaf) not in places:
                raise WeightsError(
                    f"the model has no output {leaf.node} of {_quoted(leaf.layer)}."
                )
        return Graph(
            name,
            "Functional",
            tuple(layers),
            tuple(calls),
            _resolve(ref, named[0]),
            _resolve(ref, named[1]),
        )

    def layer(self, config: Any) -> Layer:
        """Read a layer, with all of its options."""
        kind = config["class_name"]
        given = config["config"]
        if not isinstance(kind, str) or not isinstance(given, dict):
            raise ValueError(f"a layer {_quoted(kind)}")
        package, _, kind = kind.rpartition(">")
        if package:  # in .h5 files
            config = {"registered_name": f"{package}>{kind}", **config}
        name = config.get("name") or given.get("name") or self._numbered(kind)
        if not isinstance(name, str) or not name or "/" in name or len(name) > 255:
            raise ValueError(f"a layer named {_quoted(name)}")
        label = f"{self.where}{shortened(name)!r} ({shortened(kind)})"
        # The .h5 files of Keras 3 do not tell functions from layers in another way.
        is_layer = f"ops.{kind}" not in LAYERS or "trainable" in given
        module = str(config.get("module", "keras.layers" if is_layer else "keras.ops"))
        trainable = bool(given.get("trainable", True))
        if kind in self.custom:
            options = {k: v for k, v in given.items() if k not in _GENERAL}
            return Layer(name, kind, freeze(options), trainable, *_types(given, label))
        if kind in MODELS and module.startswith(("keras", "tensorflow")):
            graph = _model(config, self.custom, self.where, self.depth + 1)
            return Layer(name, kind, trainable=trainable, graph=graph)
        if module.startswith(("keras.src.ops", "keras.ops")):
            kind = f"ops.{kind}"
        elif kind == "InputLayer":
            return _input_layer(name, given, label)
        elif not module.startswith("keras") or config.get("registered_name") not in (
            None,
            kind,
            f"keras>{kind}",
        ):
            raise refuse(
                label,
                "is of a class of your own: pass custom_layers={"
                f"{shortened(kind)!r}: ...}} with a function from its options to a "
                "Linen module.",
            )
        kind = _ALIASES.get(kind, kind)
        return self._known(name, kind, given, trainable, label)

    def _numbered(self, kind: str) -> str:
        """Return a name for a layer that has none, as Keras would."""
        number = self.nameless[kind]
        self.nameless[kind] += 1
        return f"{snake_case(kind)}_{number}" if number else snake_case(kind)

    def _known(
        self, name: str, kind: str, given: dict, trainable: bool, label: str
    ) -> Layer:
        entry = LAYERS.get(kind)
        if entry is None:
            why = OUT_OF_SCOPE.get(kind)
            raise refuse(
                label,
                f"cannot be imported: {why}"
                if why
                else "is of a class that fdl does not have yet: pass custom_layers={"
                f"{shortened(kind)!r}: ...}} with a function from its options to a "
                "Linen module.",
            )
        if kind.startswith("ops."):
            types, general, known = ("float32", "float32"), ("name",), entry.options
        else:
            types, general = _types(given, label), _GENERAL
            known = {**entry.options, "activity_regularizer": ACTIVITY}
        own = {key: each for key, each in given.items() if key not in general}
        try:
            options = checked(dict(known), own)
            if kind == "ActivityRegularization":
                both = FrozenDict({"class_name": "L1L2", **own})
                options = with_options(options, activity_regularizer=both)
            inner = {k: self._inner(v) for k, v in options.items() if _has_layer(v)}
            options = with_options(options, **inner)
        except WeightsError:
            raise
        except ValueError as error:
            raise refuse(label, f"{_told(error)}.") from None
        return Layer(name, kind, options, trainable, *types)

    def _inner(self, value: Any) -> Any:
        if isinstance(value, NeedsLayer):
            return self.layer(value.config)
        if isinstance(value, tuple):
            return tuple(self._inner(each) for each in value)
        return value

    def _node(self, layer: Layer, node: Any) -> tuple[tuple, FrozenDict]:
        """Read a call of a layer."""
        if node is None:
            return (), FrozenDict()
        args = tuple(_argument(each) for each in node["args"])
        kwargs = node["kwargs"]
        entry = LAYERS.get(layer.kind)
        known = ("mask", *(entry.kwargs if entry else ()))
        found = {}
        for key, value in kwargs.items():
            if key == "training":  # what Keras overrides in training and prediction
                continue
            found[key] = _argument(value)
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
            name, node, output = _history(tree)
            if name in numbers and layers[numbers[name]].kind in (
                "Functional",
                "Model",
            ):
                # Keras counts a call that such a model has within itself.
                node = max(node - 1, 0)
            return _Named(name, node, output)
        ends = tuple(self._ends(each, layers, numbers) for each in tree)
        return ends

    def _require_names(self, layers: list[Layer]) -> None:
        names = [layer.name for layer in layers]
        seen: set[str] = set()
        for name in names:
            if name in seen:
                raise WeightsError(f"the model has two layers {_quoted(name)}.")
            seen.add(name)

    def _at(self, layer: Layer) -> str:
        return f"{self.where}{layer}"


class _Named:
    """An output that a file calls by the name of its layer."""

    def __init__(self, layer: str, node: int, output: int) -> None:
        self.layer, self.node, self.output = layer, node, output


def _history(value: Any) -> tuple[str, int, int]:
    name, node, output = value
    if not isinstance(name, str) or type(node) is not int or type(output) is not int:
        raise ValueError(f"an output {value!r}")
    if not 0 <= node < _MOST_LAYERS or not 0 <= output < _MOST_LAYERS:
        raise ValueError(f"an output {value!r}")
    return name, node, output


def _argument(value: Any) -> Any:
    """Read an argument of a call."""
    if isinstance(value, list):
        return tuple(_argument(each) for each in value)
    if not isinstance(value, dict):
        return value
    kind = value.get("class_name")
    config: Any = value.get("config")
    match kind:
        case "__keras_tensor__":
            return _Named(*_history(config["keras_history"]))
        case "__tuple__":
            return tuple(_argument(each) for each in config["value"])
        case "__slice__":
            return Slice(config["start"], config["stop"], config["step"])
        case "__ellipsis__":
            return ...
        case "__tensor__" | "__numpy__":
            array = np.asarray(config["value"], _dtype(config["dtype"]))
            return Constant(freeze(array.tolist()), array.dtype.name)
    if "class_name" in value:
        raise ValueError(f"an argument of the class {_quoted(kind)}")
    return FrozenDict({key: _argument(each) for key, each in value.items()})


def _resolve(function: Any, tree: Any) -> Any:
    if isinstance(tree, FrozenDict):
        return FrozenDict({key: _resolve(function, each) for key, each in tree.items()})
    if isinstance(tree, tuple) and not hasattr(tree, "_fields"):
        return tuple(_resolve(function, each) for each in tree)
    return function(tree)


def _has_layer(value: Any) -> bool:
    if isinstance(value, tuple) and not isinstance(value, NeedsLayer):
        return any(_has_layer(each) for each in value)
    return isinstance(value, NeedsLayer)


def _input_layer(name: str, given: dict, label: str) -> Layer:
    if given.get("sparse") or given.get("ragged"):
        raise refuse(label, "is sparse or ragged, which is not supported.")
    shape = given.get("batch_shape", given.get("batch_input_shape"))
    return _input(name, shape, given.get("dtype", "float32"))


def _input(name: str, shape: Any, dtype: Any = "float32") -> Layer:
    if shape is not None:
        if not isinstance(shape, list | tuple) or not 1 <= len(shape) <= _MOST_AXES:
            raise ValueError(f"an input of shape {shape!r}")
        for size in shape:
            if size is not None and (type(size) is not int or not 0 <= size < 1 << 31):
                raise ValueError(f"an input of shape {shape!r}")
        shape = tuple(shape)
    dtype = _dtype(dtype if isinstance(dtype, str) else "float32")
    return Layer(name, "InputLayer", freeze({"batch_shape": shape, "dtype": dtype}))


def _dtype(name: Any) -> str:
    if name == "bfloat16":
        return name
    if not isinstance(name, str) or np.dtype(name).kind not in "fiub":
        raise ValueError(f"the type {_quoted(name)}")
    return np.dtype(name).name


def _types(given: dict, label: str) -> tuple[str, str]:
    """Return the types in which a layer computes, and has its weights."""
    policy = given.get("dtype", "float32")
    if isinstance(policy, dict):
        kind, inner = policy.get("class_name"), policy.get("config")
        if kind not in ("DTypePolicy", "Policy") or not isinstance(inner, dict):
            raise refuse(
                label,
                f"computes by a {_quoted(kind)}: quantized models cannot be imported; "
                "save the model before it is quantized.",
            )
        policy = inner.get("name")
    if policy is None:
        return "float32", "float32"
    if policy in _MIXED:
        return _MIXED[policy], "float32"
    if isinstance(policy, str) and policy not in _TYPES:
        kind = None if len(policy) > 20 else policy
        if kind in ("int32", "int64", "uint8", "int8", "bool", "string"):
            return "float32", "float32"  # a layer that looks up or counts
    if policy not in _TYPES:
        raise refuse(label, f"computes in {_quoted(policy)}, which is not supported.")
    return policy, policy


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
        raise ValueError(f"it has {count:,} parts")


def _all(tree: Any) -> Iterator[Any]:
    waiting = [tree]
    while waiting:
        each = waiting.pop()
        yield each
        if isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)


def _quoted(value: Any) -> str:
    return shortened(repr(value), 80)


def _told(error: BaseException) -> str:
    return shortened(" ".join(str(error).split()) or type(error).__name__)

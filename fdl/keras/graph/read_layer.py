"""Read the layers of a Keras model, checking each against the table of layers."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import Any

from flax.core import FrozenDict

from fdl.keras.graph.description import Graph, Layer, freeze, refuse, with_options
from fdl.keras.graph.read_arguments import dtype, quoted
from fdl.keras.layers import snake_case
from fdl.keras.table import LAYERS, OUT_OF_SCOPE
from fdl.keras.table.options import ACTIVITY, NeedsLayer, checked
from fdl.untrusted import reason, shortened
from fdl.weights import WeightsError

MODELS = ("Functional", "Sequential", "Model")
_MOST_AXES = 8
_TYPES = ("float16", "bfloat16", "float32", "float64")
_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}
_ALIASES = {"GroupQueryAttention": "GroupedQueryAttention"}
_GENERAL = ("name", "trainable", "dtype", "batch_input_shape", "autocast")


class LayerReader:
    """Reader of the layers of one model, and of layers inside them."""

    def __init__(
        self, custom: frozenset[str], where: str, nested: Callable[[Any], Graph]
    ) -> None:
        """Take custom classes, a prefix for messages, and a reader of nested models."""
        self.custom, self.where, self.nested = custom, where, nested
        self.nameless: Counter[str] = Counter()

    def __call__(self, config: Any) -> Layer:
        """Read a layer, with all of its options."""
        kind = config["class_name"]
        given = config["config"]
        if not isinstance(kind, str) or not isinstance(given, dict):
            raise ValueError(f"a layer has the class {quoted(kind)}")
        package, _, kind = kind.rpartition(">")
        if package:  # in .h5 files
            config = {"registered_name": f"{package}>{kind}", **config}
        name = config.get("name") or given.get("name") or self._numbered(kind)
        if not isinstance(name, str) or not name or "/" in name or len(name) > 255:
            raise ValueError(f"a layer is named {quoted(name)}")
        label = f"{self.where}{shortened(name)!r} ({shortened(kind)})"
        # In .h5 files of Keras 3, only this distinguishes functions from layers.
        is_layer = f"ops.{kind}" not in LAYERS or "trainable" in given
        module = str(config.get("module", "keras.layers" if is_layer else "keras.ops"))
        trainable = bool(given.get("trainable", True))
        if kind in self.custom:
            options = {k: v for k, v in given.items() if k not in _GENERAL}
            return Layer(name, kind, freeze(options), trainable, *_types(given, label))
        if kind in MODELS and module.startswith(("keras", "tensorflow", "tf_keras")):
            graph = self.nested(config)
            return Layer(name, kind, trainable=trainable, graph=graph)
        if module.startswith(("keras.src.ops", "keras.ops")):
            kind = f"ops.{kind}"
        elif kind == "InputLayer":
            return _input(name, given, label)
        elif not module.startswith("keras") or config.get("registered_name") not in (
            None,
            kind,
            f"keras>{kind}",
        ):
            raise refuse(
                label,
                "is of a custom class: pass custom_layers={"
                f"{shortened(kind)!r}: ...}} with a function from its options to a "
                "Linen module.",
            )
        kind = _ALIASES.get(kind, kind)
        return self._known(name, kind, given, trainable, label)

    def _numbered(self, kind: str) -> str:
        """Name a layer that has no name, as Keras would."""
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
                f"cannot be imported: {why}."
                if why
                else "is of a class that fdl does not support yet: pass custom_layers={"
                f"{shortened(kind.removeprefix('ops.'))!r}: ...}} with a function from "
                "its options to a Linen module.",
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
            for option in {"activation", "recurrent_activation"} & inner.keys():
                shape = _built(own[option])
                inner[option] = dataclasses.replace(inner[option], built=shape)
            options = with_options(options, **inner)
        except WeightsError:
            raise
        except ValueError as error:
            raise refuse(label, f"{reason(error)}.") from None
        return Layer(name, kind, options, trainable, *types)

    def _inner(self, value: Any) -> Any:
        if isinstance(value, NeedsLayer):
            return self(value.config)
        if isinstance(value, tuple):
            return tuple(self._inner(each) for each in value)
        return value


def _input(name: str, given: dict, label: str) -> Layer:
    if given.get("sparse") or given.get("ragged"):
        raise refuse(label, "is sparse or ragged, which is not supported.")
    if given.get("dtype") == "string":
        raise refuse(
            label,
            "takes text, but a pure function takes numbers: look tokens up before the "
            "model, which keras.Model(lookup.output, model.outputs) cuts off.",
        )
    shape = given.get("batch_shape", given.get("batch_input_shape"))
    return input_layer(name, shape, given.get("dtype", "float32"))


def _built(config: Any) -> Any:
    """Return the input shape with which a layer was built, if the file has it."""
    built = config.get("build_config") if isinstance(config, dict) else None
    shape = built.get("input_shape") if isinstance(built, dict) else None
    return None if shape is None else _shape(shape)


def input_layer(name: str, shape: Any, kind: Any = "float32") -> Layer:
    """Return an input layer of a shape that includes the batch axis."""
    shape = None if shape is None else _shape(shape)
    kind = dtype(kind if isinstance(kind, str) else "float32")
    return Layer(name, "InputLayer", freeze({"batch_shape": shape, "dtype": kind}))


def _shape(value: Any) -> tuple[int | None, ...]:
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= _MOST_AXES:
        raise ValueError(f"an input has the shape {quoted(value)}")
    for size in value:
        if size is not None and (type(size) is not int or not 0 <= size < 1 << 31):
            raise ValueError(f"an input has the shape {quoted(value)}")
    return tuple(value)


def _types(given: dict, label: str) -> tuple[str, str]:
    """Return a layer's compute type, and the type of its weights."""
    policy = given.get("dtype", "float32")
    if isinstance(policy, dict):
        kind, inner = policy.get("class_name"), policy.get("config")
        if kind not in ("DTypePolicy", "Policy") or not isinstance(inner, dict):
            raise refuse(
                label,
                f"has the dtype policy {quoted(kind)}: quantized models cannot be "
                "imported; save the model before it is quantized.",
            )
        policy = inner.get("name")
    if policy is None:
        return "float32", "float32"
    if policy in _MIXED:
        return _MIXED[policy], "float32"
    if isinstance(policy, str) and policy not in _TYPES:
        kind = None if len(policy) > 20 else policy
        if kind in ("int32", "int64", "uint8", "int8", "bool", "string"):
            return "float32", "float32"  # a lookup, or a similar layer of integers
    if policy not in _TYPES:
        raise refuse(label, f"computes in {quoted(policy)}, which is not supported.")
    return policy, policy


def _has_layer(value: Any) -> bool:
    if isinstance(value, tuple) and not isinstance(value, NeedsLayer):
        return any(_has_layer(each) for each in value)
    return isinstance(value, NeedsLayer)

"""Rewrite the configs of Keras 2 models as Keras 3 would write them.

Only this file knows how Keras 2 counts calls, names options and serializes TensorFlow
functions. Anything that it does not recognize stays as it is, for
`fdl.keras.graph.read` to check.
"""

from collections.abc import Collection
from typing import Any

from fdl.keras.graph.description import refuse
from fdl.keras.graph.keras2_operations import OPERATIONS, Operation
from fdl.keras.graph.read_layer import MODELS
from fdl.untrusted import shortened

_CONSTANT = "_CONSTANT_VALUE"
_KINDS = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "LSTMV2": "LSTM",
    "GRUV2": "GRU",
    "LSTMCellV2": "LSTMCell",
    "GRUCellV2": "GRUCell",
    "ThresholdedReLU": "ReLU",
}
_RECURRENT = ("SimpleRNN", "LSTM", "GRU", "RNN", "Bidirectional")
_RENAMED = {
    "LeakyReLU": {"alpha": "negative_slope"},
    "ThresholdedReLU": {"theta": "threshold"},
}
_KERNEL = (
    "groups",
    *(f"kernel_{x}" for x in ("initializer", "regularizer", "constraint")),
)
_IDLE = {
    # Options that convolutions inherit but do not use.
    "DepthwiseConv1D": ("groups",),
    "DepthwiseConv2D": ("groups",),
    "SeparableConv1D": _KERNEL,
    "SeparableConv2D": _KERNEL,
    "Conv1DTranspose": ("groups",),
    "Conv2DTranspose": ("groups",),
    "Conv3DTranspose": ("groups",),
    # Shapes with which the layer was built.
    "MultiHeadAttention": ("query_shape", "key_shape", "value_shape"),
    **{f"SpatialDropout{axes}D": ("noise_shape",) for axes in (1, 2, 3)},
}
_OFF = ("sparse", "softmax_robust_masking", "causal")
"""Options that Keras 3 does not have, and that have no effect if they are False."""

_FUNCTIONS = {"hard_sigmoid": "keras2>hard_sigmoid"}  # its slope differs in Keras 3


def rewritten(config: Any, custom: Collection[str] = ()) -> Any:
    """Return the config of a model as Keras 3 would write it.

    Args:
        config: The config of a Keras 2 model.
        custom: Names of custom classes, whose options stay as they are.

    Raises:
        WeightsError: If the model calls a TensorFlow function that has no equivalent
            in `keras.ops`; the message names it.

    Example:
        >>> options = {"name": "act", "alpha": 0.1}
        >>> layers = [{"class_name": "LeakyReLU", "config": options}]
        >>> model = rewritten({"class_name": "Sequential", "config": layers})
        >>> model["config"]["layers"][0]["config"]
        {'name': 'act', 'negative_slope': 0.1}
    """
    inner = config["config"]
    if isinstance(inner, list):  # Sequential of Keras 2.1
        inner = {"layers": inner}
    layers = [_layer(each, custom) for each in inner["layers"]]
    # A model that starts with an input counts its own construction as a call.
    called = {
        keras3_name(each["name"])
        for each in layers
        if each["class_name"] in MODELS
        and each["config"]["layers"][:1]
        and each["config"]["layers"][0]["class_name"] == "InputLayer"
    }
    for layer in layers:
        nodes = layer.get("inbound_nodes") or []
        layer["inbound_nodes"] = [_node(each, called) for each in nodes]
        if layer["class_name"] in _RECURRENT:
            for node in layer["inbound_nodes"]:
                _name_states(node)
        if layer["class_name"] in ("TFOpLambda", "SlicingOpLambda"):
            layer.update(_operation(layer))
    models = {each["name"]: each["class_name"] for each in layers}
    # `fdl.keras.graph.read` corrects this for the ends of functional models itself.
    first = {name for name in called if models[name] == "Sequential"}
    ends = {
        key: _ends(inner[key], first)
        for key in ("input_layers", "output_layers")
        if key in inner
    }
    return {**config, "config": {**inner, "layers": layers, **ends}}


def _layer(layer: Any, custom: Collection[str]) -> dict[str, Any]:
    kind, given = layer["class_name"], layer["config"]
    if not isinstance(kind, str):
        raise ValueError(f"a layer has the class {shortened(repr(kind), 80)}")
    if kind in MODELS:
        # In Keras 2.1, the name of a Sequential model is next to its config.
        layer = rewritten(layer, custom)
        given = layer["config"]
    elif kind not in custom:
        given = _options(kind, given, custom)
        kind = _KINDS.get(kind, kind)
    name = layer.get("name") or given.get("name") or ""
    return {
        **layer,
        "class_name": kind,
        "config": {**given, "name": keras3_name(given.get("name", name))},
        "name": keras3_name(name),
    }


def keras3_name(name: Any) -> Any:
    """Return the name of a layer without slashes, which Keras 3 does not allow."""
    return name.replace("/", "_") if isinstance(name, str) else name


def _options(kind: str, given: dict[str, Any], custom: Collection[str]) -> dict:
    renamed, idle = _RENAMED.get(kind, {}), _IDLE.get(kind, ())
    found = {
        renamed.get(name, name): value
        for name, value in given.items()
        if name not in idle and not (name in _OFF and value is False)
    }
    for option in {"activation", "recurrent_activation"} & found.keys():
        found[option] = _activation(found[option], custom)
    for option in ("layer", "backward_layer", "cell"):
        if isinstance(found.get(option), dict):
            found[option] = _layer(found[option], custom)
    if isinstance(found.get("cells"), list):
        found["cells"] = [_layer(each, custom) for each in found["cells"]]
    return found


def _activation(value: Any, custom: Collection[str]) -> Any:
    if isinstance(value, dict) and isinstance(value.get("config"), dict):
        return {"module": "keras.layers", **_layer(value, custom)}
    return _FUNCTIONS.get(value, value) if isinstance(value, str) else value


def _node(node: Any, called: set[str]) -> dict[str, Any]:
    """Rewrite a call, whose keyword arguments are attached to each of its inputs."""
    if isinstance(node, dict) and "args" in node:  # written by Keras 3
        return node
    named: dict[str, Any] = {}

    def first(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: first(each) for key, each in value.items()}
        if not (value and isinstance(value[0], str)):
            return [first(each) for each in value]
        named.update(value[3] if len(value) > 3 else {})
        if value[0] == _CONSTANT:
            return value[2]
        return _tensor(value[:3], called)

    args = first(node)
    if isinstance(args, list) and len(args) == 1:
        (args,) = args
    kwargs = {key: _argument(each, called) for key, each in named.items()}
    return {"args": [args], "kwargs": kwargs}


def _name_states(node: dict[str, Any]) -> None:
    """Pass initial states by name; Keras 2 lists them after the sequence."""
    (args,) = node["args"]
    if isinstance(args, list):
        node["args"], node["kwargs"]["initial_state"] = [args[0]], args[1:]


def _argument(value: Any, called: set[str]) -> Any:
    if isinstance(value, list):
        is_name = len(value) == 3 and isinstance(value[0], str)
        if is_name and type(value[1]) is type(value[2]) is int:
            return _tensor(value, called)
        return [_argument(each, called) for each in value]
    return value


def _tensor(value: list[Any], called: set[str]) -> dict[str, Any]:
    history = _history(value, called)
    return {"class_name": "__keras_tensor__", "config": {"keras_history": history}}


def _history(value: list[Any], called: set[str]) -> list[Any]:
    name, node, output = value
    name = keras3_name(name)
    return [name, node - 1 if name in called and node else node, output]


def _ends(tree: Any, called: set[str]) -> Any:
    if isinstance(tree, dict):
        return {key: _ends(each, called) for key, each in tree.items()}
    if len(tree) == 3 and isinstance(tree[0], str):
        return _history(tree, called)
    return [_ends(each, called) for each in tree]


def _operation(layer: dict[str, Any]) -> dict[str, Any]:
    """Rewrite a call of a TensorFlow function as one of `keras.ops`."""
    function = layer["config"].get("function")
    label = f"{shortened(str(layer['name']))!r} (tf.{shortened(str(function))})"
    if function not in OPERATIONS:
        raise refuse(
            label,
            "calls a TensorFlow function that fdl does not support: write it with "
            "keras.ops in Keras 3, or as a custom layer, and pass custom_layers=.",
        )
    kind, translate = OPERATIONS[function]
    nodes, options = [], {}
    for node in layer["inbound_nodes"]:
        kwargs = {k: v for k, v in node["kwargs"].items() if k != "name"}
        (arg,) = node["args"]
        found = Operation([arg], kwargs)
        try:
            translate(found)
            for option, value in found.kwargs.items():
                if value is not None and value is not False:
                    raise ValueError(f"with {option}={shortened(repr(value))}")
        except (ValueError, TypeError, LookupError) as why:
            raise refuse(
                label, f"is called in a way that is not supported: {why}."
            ) from None
        options = found.options
        nodes.append({"args": found.args, "kwargs": {}})
    if len(nodes) > 1:
        raise refuse(label, "is called more than once, which is not supported.")
    return {
        "module": "keras.ops",
        "class_name": kind,
        "config": {"name": layer["name"], **options},
        "inbound_nodes": nodes,
    }

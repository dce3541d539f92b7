"""Write a `Graph` as a config for Keras, the inverse of `fdl.keras.graph.read`.

Options that are off, and off by default, are left out, so that older releases of Keras
that lack the newest options can read the file.
"""

from collections.abc import Mapping
from typing import Any

from flax.core import FrozenDict

from fdl.keras.graph.description import (
    Constant,
    Graph,
    Layer,
    Options,
    Ref,
    Slice,
    map_leaves,
    refuse,
)
from fdl.keras.table import LAYERS, Entry
from fdl.keras.table.options import REQUIRED

_MODULES = {
    "math": "Erf Rsqrt Logsumexp TopK CDist Erfc Erfinv ExtractSequences FFT FFT2 "
    "IFFT2 InTopK IRFFT Logdet RFFT SegmentMax SegmentMin SegmentProd SegmentSum STFT",
    "core": "StopGradient Cast Unstack ConvertToTensor SaturateCast Scatter "
    "ScatterUpdate Slice SliceUpdate",
    "linalg": "Norm Cholesky Det Inv Pinv Solve SolveTriangular",
    "image": "CropImages ExtractPatches HSVToRGB PadImages Resize RGBToGrayscale "
    "RGBToHSV",
    "nn": "HardSigmoid HardSilu HardTanh LogSigmoid Relu Relu6 Selu Sigmoid Silu "
    "Softplus Softsign SparsePlus SparseSigmoid TanhShrink Celu Elu Gelu Glu "
    "HardShrink LeakyRelu LogSoftmax Normalize OneHot SoftShrink Softmax Threshold "
    "AveragePool BatchNorm Conv DepthToSpace DepthwiseConv DotProductAttention "
    "LayerNorm MaxPool Moments MultiHot RMSNorm SeparableConv SpaceToDepth Sparsemax "
    "Squareplus",
}
"""Modules in which Keras defines functions of `keras.ops`; others are in `numpy`."""
_HOMES = {name: home for home, names in _MODULES.items() for name in names.split()}
_OWN_HOMES = {
    "CustomScaleLayer": "keras.src.applications.inception_resnet_v2",
    "LayerScale": "keras.src.applications.convnext",
    "StochasticDepth": "keras.src.applications.convnext",
}
_NAMES = {"GroupedQueryAttention": "GroupQueryAttention"}
_MIXED = {"float16": "mixed_float16", "bfloat16": "mixed_bfloat16"}


def recorded(graph: Graph) -> dict[str, Any]:
    """Return a model as fdl records it in the `config.json` of a run."""
    return {"keras_model": config_of(graph), "keras_version": 2 if graph.keras2 else 3}


def config_of(graph: Graph) -> dict[str, Any]:
    """Return the content of `config.json` in a `.keras` file.

    Raises:
        WeightsError: If a layer is of a class that Keras does not have.

    Example:
        >>> from fdl.keras.graph.read import read_model
        >>> dense = {"class_name": "Dense", "config": {"name": "head", "units": 2}}
        >>> config = {"name": "net", "layers": [dense], "build_input_shape": [None, 3]}
        >>> graph = read_model({"class_name": "Sequential", "config": config})
        >>> config_of(graph)["config"]["layers"][1]["config"]
        {'name': 'head', 'dtype': 'float32', 'units': 2, 'activation': 'linear', ...}
    """
    if graph.kind == "Sequential":
        layers = [_layer(layer) for layer in graph.layers]
        config = {"name": graph.name, "layers": layers}
        return {"module": "keras", "class_name": "Sequential", "config": config}
    histories = _histories(graph)
    layers = []
    for number, layer in enumerate(graph.layers):
        calls = [call for call in graph.calls if call.layer == number]
        nodes = (
            [] if layer.kind == "InputLayer" else [_node(c, histories) for c in calls]
        )
        layers.append(_layer(layer) | {"name": layer.name, "inbound_nodes": nodes})
    end = lambda ref: _end(graph, ref, histories)
    config = {
        "name": graph.name,
        "layers": layers,
        "input_layers": _lists(map_leaves(end, graph.inputs)),
        "output_layers": _lists(map_leaves(end, graph.outputs)),
    }
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "config": config,
        "registered_name": "Functional",
    }


def _histories(graph: Graph) -> list[tuple[str, int]]:
    """Return, for each call, the name of its layer and its index among those calls."""
    counts: dict[int, int] = {}
    found = []
    for call in graph.calls:
        node = counts.get(call.layer, 0)
        counts[call.layer] = node + 1
        found.append((graph.layers[call.layer].name, node))
    return found


def _end(graph: Graph, ref: Ref, histories: list[tuple[str, int]]) -> list[Any]:
    """Return the reference to an input or output of a model."""
    name, node = histories[ref.call]
    inner = graph.layers[graph.calls[ref.call].layer].graph
    if inner is not None and inner.kind != "Sequential":
        node += 1  # Keras counts the model's own construction as a call
    return [name, node, ref.output]


def _node(call: Any, histories: list[tuple[str, int]]) -> dict[str, Any]:
    argument = lambda tree: _argument(tree, histories)
    return {
        "args": [argument(each) for each in call.args],
        "kwargs": {name: argument(each) for name, each in call.kwargs.items()},
    }


def _argument(tree: Any, histories: list[tuple[str, int]]) -> Any:
    match tree:
        case Ref():
            history = [*histories[tree.call], tree.output]
            config = {"shape": [None], "dtype": "float32", "keras_history": history}
            return {"class_name": "__keras_tensor__", "config": config}
        case Constant():
            config = {"value": _lists(tree.value), "dtype": tree.dtype}
            return {"class_name": "__tensor__", "config": config}
        case Slice():
            config = dict(zip(("start", "stop", "step"), tree, strict=True))
            return {"class_name": "__slice__", "config": config}
        case FrozenDict() | dict():
            return {key: _argument(each, histories) for key, each in tree.items()}
        case tuple():
            return [_argument(each, histories) for each in tree]
    if tree is ...:
        return {"class_name": "__ellipsis__", "config": {}}
    return tree


def _layer(layer: Layer) -> dict[str, Any]:
    if layer.graph is not None:
        config = config_of(layer.graph)
        config["config"] |= {"name": layer.name, "trainable": layer.trainable}
        return config
    if layer.kind == "InputLayer":
        options = _lists(layer.options)
        return _object("keras.layers", layer.kind, {"name": layer.name, **options})
    entry = LAYERS.get(layer.kind)
    if entry is None:
        raise refuse(
            str(layer), "is of a custom class, so it cannot be written for Keras."
        )
    config = {"name": layer.name} | _options(entry, layer)
    if layer.kind.startswith("ops."):
        kind = layer.kind.removeprefix("ops.")
        module = f"keras.src.ops.{_HOMES.get(kind, 'numpy')}"
        return _object(module, kind, config) | {"registered_name": kind}
    if layer.kind == "Pipeline":  # takes no dtype in Keras
        return _object("keras.layers", layer.kind, config)
    frozen = {} if layer.trainable else {"trainable": False}
    same = layer.dtype == layer.variable_dtype
    policy = layer.dtype if same else _MIXED[layer.dtype]
    config = {"name": layer.name, **frozen, "dtype": policy, **config}
    home = _OWN_HOMES.get(layer.kind, "keras.layers")
    return _object(home, _NAMES.get(layer.kind, layer.kind), config)


def _options(entry: Entry, layer: Layer) -> dict[str, Any]:
    """Return the options, except those that are off and off by default."""
    found = {}
    for name, (check, default) in entry.options.items():
        value = layer.options[name]
        is_off = value is None or value is False
        if is_off and default is not REQUIRED and value == check(default):
            continue
        if layer.kind.endswith("1D") and isinstance(value, tuple) and len(value) == 1:
            (value,) = value
        found[name] = _value(name, value)
    activity = layer.options.get("activity_regularizer")
    if activity and layer.kind != "ActivityRegularization":
        found["activity_regularizer"] = _value("activity_regularizer", activity)
    return found


def _value(name: str, value: Any) -> Any:
    if isinstance(value, Layer):
        built = {"build_config": {"input_shape": _lists(value.built)}}
        return _layer(value) | (built if value.built else {})
    if isinstance(value, tuple):
        return [_value(name, each) for each in value]
    for module in ("initializer", "regularizer", "constraint"):
        if name.endswith(f"_{module}") and isinstance(value, Mapping):
            options = {key: each for key, each in value.items() if key != "class_name"}
            return _object(f"keras.{module}s", value["class_name"], _lists(options))
    return _lists(value)


def _object(module: str, kind: str, config: Options) -> dict[str, Any]:
    return {
        "module": module,
        "class_name": kind,
        "config": dict(config),
        "registered_name": None,
    }


def _lists(tree: Any) -> Any:
    """Convert immutable data to lists and dictionaries for JSON."""
    if isinstance(tree, dict | FrozenDict):
        return {key: _lists(each) for key, each in tree.items()}
    if isinstance(tree, list | tuple):
        return [_lists(each) for each in tree]
    return tree

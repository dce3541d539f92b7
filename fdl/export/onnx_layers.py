"""Apply Keras layers to an ONNX graph."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fdl.export.errors import ExportError
from fdl.export.onnx_graph import ACTIVATIONS, Graph
from fdl.keras.graph.description import Layer, Options
from fdl.ops.windows import Pads, border

Arrays = Sequence[np.ndarray]


def add(graph: Graph, layer: Layer, arrays: Arrays) -> None:
    """Apply a Keras layer to the value of a graph.

    Raises:
        ExportError: If an option of the layer is not supported.
    """
    _require_known_options(layer)
    LAYERS[layer.kind](graph, layer.options, arrays)
    activation = layer.options.get("activation", "linear")
    if layer.kind in _RECURRENT or activation == "linear":
        return
    if activation not in ACTIVATIONS:
        raise _refused(layer, "activation")
    graph.activate(activation)


_RECURRENT = ("SimpleRNN", "LSTM", "GRU")
_CELL = {"activation": "tanh", "use_bias": True, "go_backwards": False}
_GATED = _CELL | {"recurrent_activation": "sigmoid"}
_CHANNELS_LAST = {"data_format": "channels_last"}
_FIXED: Mapping[str, Mapping[str, Any]] = {
    "AveragePooling2D": _CHANNELS_LAST,
    "BatchNormalization": {"axis": -1},
    "Bidirectional": {"merge_mode": "concat", "backward_layer": None},
    "Conv2D": _CHANNELS_LAST,
    "Conv2DTranspose": _CHANNELS_LAST
    | {"dilation_rate": (1, 1), "output_padding": None},
    "Flatten": _CHANNELS_LAST,
    "GRU": _GATED | {"reset_after": True, "return_state": False},
    "GlobalAveragePooling2D": _CHANNELS_LAST,
    "GlobalMaxPooling2D": _CHANNELS_LAST,
    "LSTM": _GATED | {"return_state": False},
    "MaxPooling2D": _CHANNELS_LAST,
    "ReLU": {"negative_slope": 0.0, "max_value": None, "threshold": 0.0},
    "SimpleRNN": _CELL | {"return_state": False},
    "ZeroPadding2D": _CHANNELS_LAST,
}
"""The only supported values of these options."""


def _require_known_options(layer: Layer) -> None:
    for name, value in _FIXED.get(layer.kind, {}).items():
        if layer.options[name] != value:
            raise _refused(layer, name)


def _refused(layer: Layer, option: str) -> ExportError:
    return ExportError(
        f"an .onnx cannot hold the layer {layer} with {option}="
        f"{layer.options[option]!r}: write a .stablehlo, which holds any model."
    )


def _flatten(graph: Graph, options: Options, arrays: Arrays) -> None:
    graph.reshape([int(np.prod(graph.shape))])


def _reshape(graph: Graph, options: Options, arrays: Arrays) -> None:
    graph.reshape(options["target_shape"])


def _nothing(graph: Graph, options: Options, arrays: Arrays) -> None:
    """Do nothing, as dropout and noise do at inference."""


def _relu(graph: Graph, options: Options, arrays: Arrays) -> None:
    graph.node("Relu")


def _leaky_relu(graph: Graph, options: Options, arrays: Arrays) -> None:
    graph.node("LeakyRelu", alpha=options["negative_slope"])


def _dense(graph: Graph, options: Options, arrays: Arrays) -> None:
    graph.channels_last()
    graph.node("MatMul", arrays[0])
    if len(arrays) > 1:
        graph.node("Add", arrays[1])
    graph.shape = (*graph.shape[:-1], options["units"])


def _conv(graph: Graph, options: Options, arrays: Arrays) -> None:
    kernel, *bias = arrays
    window, strides = options["kernel_size"], options["strides"]
    dilation = options["dilation_rate"]
    spread = [
        (size - 1) * step + 1 for size, step in zip(window, dilation, strict=True)
    ]
    pads = _border(graph.shape, spread, strides, options["padding"])
    graph.for_images()
    # Keras: height, width, channels, features. ONNX: features first, then channels.
    graph.node(
        "Conv",
        kernel.transpose(3, 2, 0, 1),
        *bias,
        strides=strides,
        dilations=dilation,
        group=options["groups"],
        pads=_pads(pads),
    )
    sizes = _windows(graph.shape[:2], pads, spread, strides)
    graph.shape = (*sizes, options["filters"])


def _conv_transpose(graph: Graph, options: Options, arrays: Arrays) -> None:
    kernel, *bias = arrays
    window, strides = options["kernel_size"], options["strides"]
    sizes = tuple(n * s for n, s in zip(graph.shape[:2], strides, strict=True))
    pads = _border(sizes, window, strides, options["padding"])
    # Pixels past the last window, if windows are narrower than the stride.
    missing = [
        size + sum(pad) - ((n - 1) * s + w)
        for size, pad, n, s, w in zip(
            sizes, pads, graph.shape[:2], strides, window, strict=True
        )
    ]
    graph.for_images()
    # Keras: height, width, features, channels. ONNX: channels first, then features.
    graph.node(
        "ConvTranspose",
        kernel.transpose(3, 2, 0, 1),
        *bias,
        strides=strides,
        pads=_pads(pads),
        output_padding=missing,
    )
    graph.shape = (*sizes, options["filters"])


def _pool(graph: Graph, options: Options, arrays: Arrays, *, kind: str) -> None:
    window = options["pool_size"]
    strides = options["strides"] or window
    pads = _border(graph.shape, window, strides, options["padding"])
    graph.for_images()
    graph.node(kind, kernel_shape=window, strides=strides, pads=_pads(pads))
    sizes = _windows(graph.shape[:2], pads, window, strides)
    graph.shape = (*sizes, graph.shape[-1])


def _global_pool(graph: Graph, options: Options, arrays: Arrays, *, kind: str) -> None:
    graph.channels_last()
    kept = options["keepdims"]
    graph.node(kind, axes=[1, 2], keepdims=int(kept))
    graph.shape = (*((1, 1) if kept else ()), graph.shape[-1])


def _zero_padding(graph: Graph, options: Options, arrays: Arrays) -> None:
    (top, bottom), (left, right) = options["padding"]
    graph.channels_last()
    graph.node("Pad", np.array([0, top, left, 0, 0, bottom, right, 0], np.int64))
    height, width, channels = graph.shape
    graph.shape = (height + top + bottom, width + left + right, channels)


def _rescaling(graph: Graph, options: Options, arrays: Arrays) -> None:
    graph.channels_last()
    graph.node("Mul", np.array(options["scale"], np.float32))
    graph.node("Add", np.array(options["offset"], np.float32))


def _batch_norm(graph: Graph, options: Options, arrays: Arrays) -> None:
    *given, mean, variance = arrays
    scale = given.pop(0) if options["scale"] else np.ones_like(mean)
    bias = given.pop(0) if options["center"] else np.zeros_like(mean)
    if len(graph.shape) == 3:
        graph.for_images()
    norm = (scale, bias, mean, variance)
    graph.node("BatchNormalization", *norm, epsilon=options["epsilon"])


def _bidirectional(graph: Graph, options: Options, arrays: Arrays) -> None:
    layer = options["layer"]
    _require_known_options(layer)
    LAYERS[layer.kind](graph, layer.options, arrays)


def _recurrent(graph: Graph, options: Options, arrays: Arrays, *, kind: str) -> None:
    """Apply a layer in one direction, or in both if there are twice as many arrays."""
    each = [_weights(kind, *arrays[i : i + 3]) for i in range(0, len(arrays), 3)]
    directions, units = len(each), options["units"]
    more: dict[str, Any] = {"linear_before_reset": 1} if kind == "GRU" else {}
    graph.node("Transpose", perm=[1, 0, 2])  # ONNX has time as the first axis
    state = graph.node(
        "RNN" if kind == "SimpleRNN" else kind,
        *map(np.stack, zip(*each, strict=True)),
        outputs=2,
        hidden_size=units,
        direction="forward" if directions == 1 else "bidirectional",
        **more,
    )
    if options["return_sequences"]:
        graph.node("Transpose", perm=[2, 0, 1, 3])
        graph.reshape([graph.shape[0], directions * units])
    else:
        graph.value = state
        graph.node("Transpose", perm=[1, 0, 2])
        graph.reshape([directions * units])


def _weights(kind: str, kernel: Any, recurrent: Any, bias: Any) -> Arrays:
    """Return the three arrays of one direction, features first, as ONNX orders them."""
    # The gates of an LSTM are i, f, c, o in Keras, and i, o, f, c in ONNX.
    gates = {"LSTM": [0, 3, 1, 2], "GRU": [0, 1, 2], "SimpleRNN": [0]}[kind]

    def ordered(array: np.ndarray) -> np.ndarray:
        parts = np.split(array, len(gates), axis=-1)
        return np.concatenate([parts[gate] for gate in gates], axis=-1)

    inside, outside = bias if kind == "GRU" else (bias, np.zeros_like(bias))
    biases = np.concatenate([ordered(inside), ordered(outside)])
    return ordered(kernel).T, ordered(recurrent).T, biases


LAYERS: Mapping[str, Callable[[Graph, Options, Arrays], None]] = {
    "AveragePooling2D": functools.partial(_pool, kind="AveragePool"),
    "BatchNormalization": _batch_norm,
    "Bidirectional": _bidirectional,
    "Conv2D": _conv,
    "Conv2DTranspose": _conv_transpose,
    "Dense": _dense,
    **dict.fromkeys(
        """ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise
        Identity RandomBrightness RandomContrast RandomFlip RandomRotation RandomShear
        RandomTranslation RandomZoom SpatialDropout1D SpatialDropout2D""".split(),
        _nothing,
    ),
    "Activation": _nothing,  # `add` applies the activation
    "Flatten": _flatten,
    "GRU": functools.partial(_recurrent, kind="GRU"),
    "GlobalAveragePooling2D": functools.partial(_global_pool, kind="ReduceMean"),
    "GlobalMaxPooling2D": functools.partial(_global_pool, kind="ReduceMax"),
    "LSTM": functools.partial(_recurrent, kind="LSTM"),
    "LeakyReLU": _leaky_relu,
    "MaxPooling2D": functools.partial(_pool, kind="MaxPool"),
    "ReLU": _relu,
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    "SimpleRNN": functools.partial(_recurrent, kind="SimpleRNN"),
    "ZeroPadding2D": _zero_padding,
}


def _border(
    size: Sequence[int], window: Sequence[int], strides: Sequence[int], padding: Any
) -> Pads:
    pair = lambda sizes: (sizes[0], sizes[1])
    return border(pair(size), pair(window), pair(strides), padding)


def _pads(pads: Pads) -> list[int]:
    (top, bottom), (left, right) = pads
    return [top, left, bottom, right]


def _windows(
    size: Sequence[int], pads: Pads, window: Sequence[int], strides: Sequence[int]
) -> tuple[int, ...]:
    """Return how many windows fit in each direction."""
    return tuple(
        (n + sum(pad) - w) // s + 1
        for n, pad, w, s in zip(size, pads, window, strides, strict=True)
    )

"""An ONNX graph from the layers that `fdl.keras.architectures` describes.

In ONNX, images have their channels before their height, so they are transposed around
convolutions and pooling; runtimes take the superfluous transpositions out again.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from fdl.export.facts import Facts, Spread
from fdl.keras.architectures import Config
from fdl.ops.windows import Pads, border

_OPSET, _IR = 17, 8  # of 2022: what runtimes of the last years read

Arrays = Sequence[np.ndarray]


class Graph:
    """A graph that grows layer by layer; `value` is what the last one gives.

    Shapes are those of one example, with channels last.
    """

    def __init__(
        self, given: np.ndarray, wanted: tuple[int, ...], inputs: Spread | None = None
    ) -> None:
        """Begin with what the file reads, and end at what the model does.

        Args:
            given: An example of what the file reads; bytes are divided by 255.
            wanted: Shape of what the model reads.
            inputs: Mean and deviation of each number, which become 0 and 1.
        """
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.value, self.shape = "inputs", given.shape[1:]
        self.channels_first = False
        kind = helper.np_dtype_to_tensor_dtype(given.dtype)
        sizes = ["batch", *self.shape]
        self.inputs = helper.make_tensor_value_info(self.value, kind, sizes)
        if given.dtype == np.uint8:
            self.node("Cast", to=helper.np_dtype_to_tensor_dtype(np.dtype("float32")))
            self.node("Div", np.float32(255))
        if inputs is not None:
            self.node("Sub", np.array(inputs.mean, np.float32))
            self.node("Div", np.array(inputs.deviation, np.float32))
        if self.shape != wanted:
            self.reshape(wanted)

    def node(self, kind: str, *constants: Any, outputs: int = 1, **options: Any) -> str:
        """Apply an operator to the value and constants; return its last output."""
        names = [f"{kind.lower()}{len(self.nodes)}_{i}" for i in range(outputs)]
        inputs = [self.value, *map(self._constant, constants)]
        self.nodes.append(helper.make_node(kind, inputs, names, **options))
        self.value = names[0]
        return names[-1]

    def reshape(self, shape: Sequence[int]) -> None:
        """Give another shape to each example."""
        self.channels_last()
        self.node("Reshape", np.array([-1, *shape], np.int64))
        self.shape = tuple(shape)

    def channels_last(self) -> None:
        """Bring images into the order that other layers expect."""
        if self.channels_first:
            self.node("Transpose", perm=[0, 2, 3, 1])
            self.channels_first = False

    def for_images(self) -> None:
        """Bring images into the order that ONNX expects."""
        if not self.channels_first:
            self.node("Transpose", perm=[0, 3, 1, 2])
            self.channels_first = True

    def add(self, layer: Config, arrays: Mapping[str, Arrays]) -> None:
        """Apply a layer of Keras."""
        config = layer["config"]
        name = config.get("name", "")
        if layer["class_name"] == "Bidirectional":
            both = [*arrays[f"{name}:forward"], *arrays[f"{name}:backward"]]
            inner = config["layer"]
            _recurrent(self, inner["class_name"], inner["config"], both)
        else:
            _LAYERS[layer["class_name"]](self, config, arrays.get(name, ()))
        activation = config.get("activation", "linear")
        if activation != "linear":
            self.node({"relu": "Relu", "tanh": "Tanh"}[activation])

    def finish(
        self, last: str | None, facts: Facts | None, outputs: Spread | None = None
    ) -> bytes:
        """Return the file.

        Args:
            last: What is done to the outputs.
            facts: What the file says about itself.
            outputs: Mean and deviation that the outputs are to have for 0 and 1.
        """
        self.channels_last()
        if last == "softmax":
            self.node("Softmax", axis=-1)
        elif last == "sigmoid":
            self.node("Sigmoid")
        if outputs is not None:
            self.node("Mul", np.array(outputs.deviation, np.float32))
            self.node("Add", np.array(outputs.mean, np.float32))
        self.nodes.append(helper.make_node("Identity", [self.value], ["outputs"]))
        sizes = ["batch", *self.shape]
        kind = helper.np_dtype_to_tensor_dtype(np.dtype("float32"))
        answers = helper.make_tensor_value_info("outputs", kind, sizes)
        model = helper.make_model(
            helper.make_graph(
                self.nodes, "fdl", [self.inputs], [answers], self.constants
            ),
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR,
            producer_name="fdl",
        )
        if facts is not None:
            helper.set_model_props(model, {"fdl": facts.to_json()})
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString()

    def _constant(self, value: Any) -> str:
        name = f"constant{len(self.constants)}"
        array = np.ascontiguousarray(value)
        self.constants.append(onnx.numpy_helper.from_array(array, name))
        return name


Options = Mapping[str, Any]


def _flatten(graph: Graph, config: Options, arrays: Arrays) -> None:
    graph.reshape([int(np.prod(graph.shape))])


def _reshape(graph: Graph, config: Options, arrays: Arrays) -> None:
    graph.reshape(config["target_shape"])


def _nothing(graph: Graph, config: Options, arrays: Arrays) -> None:
    """Do what dropout does after training."""


def _relu(graph: Graph, config: Options, arrays: Arrays) -> None:
    graph.node("Relu")


def _leaky_relu(graph: Graph, config: Options, arrays: Arrays) -> None:
    graph.node("LeakyRelu", alpha=config["negative_slope"])


def _dense(graph: Graph, config: Options, arrays: Arrays) -> None:
    graph.channels_last()
    graph.node("MatMul", arrays[0])
    if len(arrays) > 1:
        graph.node("Add", arrays[1])
    graph.shape = (*graph.shape[:-1], config["units"])


def _conv(graph: Graph, config: Options, arrays: Arrays) -> None:
    kernel, *bias = arrays
    window, strides = config["kernel_size"], config.get("strides", [1, 1])
    pads = _border(graph.shape, window, strides, config.get("padding", "valid"))
    graph.for_images()
    # Keras: height, width, channels, features. ONNX: features first, then channels.
    graph.node(
        "Conv",
        kernel.transpose(3, 2, 0, 1),
        *bias,
        strides=strides,
        pads=_pads(pads),
    )
    sizes = _windows(graph.shape[:2], pads, window, strides)
    graph.shape = (*sizes, config["filters"])


def _conv_transpose(graph: Graph, config: Options, arrays: Arrays) -> None:
    kernel, *bias = arrays
    window, strides = config["kernel_size"], config["strides"]
    sizes = tuple(n * s for n, s in zip(graph.shape[:2], strides, strict=True))
    pads = _border(sizes, window, strides, config["padding"])
    # What windows at the last places do not reach, if they are narrower than a stride.
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
    graph.shape = (*sizes, config["filters"])


def _max_pool(graph: Graph, config: Options, arrays: Arrays) -> None:
    window = config["pool_size"]
    graph.for_images()
    graph.node("MaxPool", kernel_shape=window, strides=window)
    none = ((0, 0), (0, 0))
    sizes = _windows(graph.shape[:2], none, window, window)
    graph.shape = (*sizes, graph.shape[-1])


def _batch_norm(graph: Graph, config: Options, arrays: Arrays) -> None:
    graph.for_images()
    graph.node("BatchNormalization", *arrays, epsilon=1e-3)  # Keras' default


def _recurrent(graph: Graph, kind: str, config: Options, arrays: Arrays) -> None:
    """Apply a layer in one direction, or with twice as many arrays in both."""
    each = [_weights(kind, *arrays[i : i + 3]) for i in range(0, len(arrays), 3)]
    directions, units = len(each), config["units"]
    options: dict[str, Any] = {"linear_before_reset": 1} if kind == "GRU" else {}
    graph.node("Transpose", perm=[1, 0, 2])  # time comes first
    state = graph.node(
        "RNN" if kind == "SimpleRNN" else kind,
        *map(np.stack, zip(*each, strict=True)),
        outputs=2,
        hidden_size=units,
        direction="forward" if directions == 1 else "bidirectional",
        **options,
    )
    if config["return_sequences"]:
        graph.node("Transpose", perm=[2, 0, 1, 3])
        graph.reshape([graph.shape[0], directions * units])
    else:
        graph.value = state
        graph.node("Transpose", perm=[1, 0, 2])
        graph.reshape([directions * units])


def _weights(kind: str, kernel: Any, recurrent: Any, bias: Any) -> Arrays:
    """Return the three arrays of one direction, features first."""
    # Keras' LSTM has its gates in the order i, f, c, o; that of ONNX is i, o, f, c.
    gates = {"LSTM": [0, 3, 1, 2], "GRU": [0, 1, 2], "SimpleRNN": [0]}[kind]

    def ordered(array: np.ndarray) -> np.ndarray:
        parts = np.split(array, len(gates), axis=-1)
        return np.concatenate([parts[gate] for gate in gates], axis=-1)

    inside, outside = bias if kind == "GRU" else (bias, np.zeros_like(bias))
    biases = np.concatenate([ordered(inside), ordered(outside)])
    return ordered(kernel).T, ordered(recurrent).T, biases


_LAYERS: Mapping[str, Callable[[Graph, Options, Arrays], None]] = {
    "BatchNormalization": _batch_norm,
    "Conv2D": _conv,
    "Conv2DTranspose": _conv_transpose,
    "Dense": _dense,
    "Dropout": _nothing,
    "Flatten": _flatten,
    "GRU": lambda *layer: _recurrent(layer[0], "GRU", *layer[1:]),
    "LSTM": lambda *layer: _recurrent(layer[0], "LSTM", *layer[1:]),
    "LeakyReLU": _leaky_relu,
    "MaxPooling2D": _max_pool,
    "ReLU": _relu,
    "Reshape": _reshape,
    "SimpleRNN": lambda *layer: _recurrent(layer[0], "SimpleRNN", *layer[1:]),
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

"""Build an ONNX graph, node by node.

ONNX images are channels first, so they are transposed around convolutions and pooling;
runtimes optimize the redundant transpositions away.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from fdl.export.facts import Facts
from fdl.export.scaling import Scaling

_OPSET, _IR = 17, 8  # of 2022, which current runtimes and those of recent years read

ACTIVATIONS = {
    "relu": "Relu",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "softmax": "Softmax",
    "softplus": "Softplus",
    "softsign": "Softsign",
}
"""Operators of ONNX, by Keras' names of the activations."""


class Graph:
    """A graph that is built layer by layer.

    `value` names the output of the last node. `shape` is that of one example, with
    channels last.
    """

    def __init__(
        self, given: np.ndarray, wanted: tuple[int, ...], scaling: Scaling | None
    ) -> None:
        """Convert the inputs of the file to those of the model.

        Args:
            given: Example inputs of the file.
            wanted: Shape of an input of the model.
            scaling: How to scale the inputs; None to leave them unchanged.
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
        if scaling is not None:
            if scaling.reverse:
                self.node("Gather", np.arange(self.shape[-1])[::-1], axis=-1)
            self.node("Sub", scaling.mean.astype(np.float32))
            self.node("Div", scaling.deviation.astype(np.float32))
        if self.shape != wanted:
            self.reshape(wanted)

    def node(self, kind: str, *constants: Any, outputs: int = 1, **options: Any) -> str:
        """Apply an operator to the value and constants.

        Returns:
            The name of its last output; `value` becomes the first.
        """
        names = [f"{kind.lower()}{len(self.nodes)}_{i}" for i in range(outputs)]
        inputs = [self.value, *map(self._constant, constants)]
        self.nodes.append(helper.make_node(kind, inputs, names, **options))
        self.value = names[0]
        return names[-1]

    def reshape(self, shape: Sequence[int]) -> None:
        """Reshape each example."""
        self.channels_last()
        self.node("Reshape", np.array([-1, *shape], np.int64))
        self.shape = tuple(shape)

    def channels_last(self) -> None:
        """Transpose images to channels last, which other layers expect."""
        if self.channels_first:
            self.node("Transpose", perm=[0, 2, 3, 1])
            self.channels_first = False

    def for_images(self) -> None:
        """Transpose images to channels first, which ONNX expects."""
        if not self.channels_first:
            self.node("Transpose", perm=[0, 3, 1, 2])
            self.channels_first = True

    def activate(self, name: str) -> None:
        """Apply an activation of `ACTIVATIONS`, softmax over the last axis."""
        if name == "softmax":
            self.channels_last()
        self.node(ACTIVATIONS[name])

    def finish(
        self, last: str | None, facts: Facts | None, outputs: Scaling | None
    ) -> bytes:
        """Return the content of the file.

        Args:
            last: Activation applied to the outputs; None for none.
            facts: Metadata to store in the file.
            outputs: Scaling of the outputs to undo; None to leave them unchanged.
        """
        self.channels_last()
        if last is not None:
            self.activate(last)
        if outputs is not None:
            self.node("Mul", outputs.deviation.astype(np.float32))
            self.node("Add", outputs.mean.astype(np.float32))
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

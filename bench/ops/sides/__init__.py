"""The operations in each framework, one file for each.

Each file defines `program(draw, operation, use, precision)`, which returns a `Program`
of `bench.ops.programs`, from a table of functions, one for each operation.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from bench.speed.twin import Precision


class Side(NamedTuple):
    """One implementation of the operations.

    Attributes:
        title: Name in the report.
        module: File in this folder.
        package: Required package.
        options: Additional arguments of its `program`.
        gpu: Whether it is for GPUs only.
        lacks: Precisions that it does not support.
        rest: Seconds until its idle threads stop spinning.
    """

    title: str
    module: str
    package: str
    options: Mapping[str, Any] = MappingProxyType({})
    gpu: bool = False
    lacks: tuple[Precision, ...] = ()
    rest: float = 0.002


SIDES = {
    "fdl": Side("fdl", "fdl_", "fdl"),
    "xla": Side("XLA", "xla_", "jax"),
    "torch": Side("PyTorch", "torch_", "torch", rest=0.03),
    "torch-graph": Side("PyTorch, graph", "torch_", "torch", {"graph": True}, True),
    "tf": Side("TensorFlow", "tf_", "tensorflow", lacks=("bfloat16",)),
}

"""The rows of the comparison: each framework by default, and as tuned by experts.

A tuned row has several settings, of which the fastest in a trial on the same machine is
measured for each case.
"""

from typing import Any, NamedTuple

from bench.speed.twin import Precision


class Row(NamedTuple):
    """A framework with its settings.

    Attributes:
        title: Name in the report.
        module: Module in `bench.speed.rivals`.
        package: Required package; for Keras, the backend.
        settings: Settings to try.
        tuned: Whether it counts as a rival to beat.
        lacks: Precisions that it does not support.
        gpu: Whether it is for GPUs only.
    """

    title: str
    module: str
    package: str
    settings: tuple[dict[str, Any], ...] = ({},)
    tuned: bool = False
    lacks: tuple[Precision, ...] = ()
    gpu: bool = False


_COMPILED = tuple(
    {"steps_per_execution": 50, "jit_compile": compiled} for compiled in (False, True)
)
_BFLOAT16: tuple[Precision, ...] = ("bfloat16",)
_THREADS = tuple({"channels_last": True, "threads": threads} for threads in (1, None))

ROWS: dict[str, Row] = {
    "fdl": Row("fdl", "fdl_", "fdl"),
    "flax": Row(
        "Flax, Linen's layers, jitted step",
        "flax_",
        "flax",
        tuned=True,
        lacks=_BFLOAT16,
    ),
    "keras-tf": Row("Keras on TensorFlow", "keras_", "tensorflow", lacks=_BFLOAT16),
    "keras-tf-tuned": Row(
        "Keras on TensorFlow, tuned",
        "keras_",
        "tensorflow",
        _COMPILED,
        tuned=True,
        lacks=_BFLOAT16,
    ),
    "keras-jax": Row("Keras on JAX", "keras_", "jax", lacks=_BFLOAT16),
    "keras-jax-tuned": Row(
        "Keras on JAX, tuned",
        "keras_",
        "jax",
        ({"steps_per_execution": 50}, {"steps_per_execution": 1}),
        tuned=True,
        lacks=_BFLOAT16,
    ),
    "keras-torch": Row(
        "Keras on PyTorch",
        "keras_",
        "torch",
        tuned=True,
        lacks=_BFLOAT16,
    ),
    "torch": Row("PyTorch", "torch_", "torch"),
    "torch-tuned": Row("PyTorch, tuned", "torch_", "torch", _THREADS, tuned=True),
    "torch-compile": Row(
        "PyTorch, torch.compile",
        "torch_",
        "torch",
        ({"channels_last": True, "compile": True},),
        tuned=True,
    ),
    "torch-graph": Row(
        "PyTorch, a CUDA graph",
        "torch_",
        "torch",
        ({"channels_last": True, "graph": True},),
        tuned=True,
        gpu=True,
    ),
}

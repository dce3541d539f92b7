"""XLA's own implementation: the operations of `jax.lax` and the layers of Flax."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax import lax

from bench.ops.draws import Arrays, Draw
from bench.ops.programs import Program, Use
from bench.ops.sides import applied
from bench.ops.sides.applied import Operation
from bench.speed.twin import Precision

_IMAGES = ("NHWC", "HWIO", "NHWC")


def program(
    draw: Draw, operation: str, use: Use, precision: Precision | None
) -> Program:
    """Compile an operation."""
    return applied.program(_OPERATIONS[operation], draw, use, precision)


def conv(
    arrays: Any,
    _: Any,
    train: bool,
    strides: Any,
    padding: str,
    dilation: Any = (1, 1),
    groups: int = 1,
) -> Any:
    return lax.conv_general_dilated(
        arrays["x"],
        arrays["kernel"],
        strides,
        padding.upper(),
        rhs_dilation=dilation,
        dimension_numbers=_IMAGES,
        feature_group_count=groups,
    )


def depthwise(arrays: Any, constants: Any, train: bool, **options: Any) -> Any:
    channels = arrays["x"].shape[-1]
    kernel = jnp.swapaxes(arrays["kernel"], -1, -2)
    inner = {"x": arrays["x"], "kernel": kernel}
    return conv(inner, constants, train, groups=channels, **options)


def conv_transpose(arrays: Any, _: Any, train: bool, strides: Any, padding: str) -> Any:
    return lax.conv_transpose(
        arrays["x"],
        arrays["kernel"],
        strides,
        padding.upper(),
        dimension_numbers=_IMAGES,
        transpose_kernel=True,
    )


def max_pool(
    arrays: Any, _: Any, train: bool, window: Any, strides: Any, padding: str
) -> Any:
    return nn.max_pool(arrays["x"], window, strides, padding.upper())


def avg_pool(
    arrays: Any, _: Any, train: bool, window: Any, strides: Any, padding: str
) -> Any:
    x, padding = arrays["x"], padding.upper()
    return nn.avg_pool(x, window, strides, padding, count_include_pad=False)


def global_avg_pool(arrays: Any, _: Any, train: bool) -> Any:
    return jnp.mean(arrays["x"], axis=(1, 2))


def upsample(arrays: Any, _: Any, train: bool, factor: Any, method: str) -> Any:
    batch, height, width, channels = arrays["x"].shape
    shape = (batch, height * factor[0], width * factor[1], channels)
    return jax.image.resize(arrays["x"], shape, method)


def dense(arrays: Any, _: Any, train: bool) -> Any:
    return arrays["x"] @ arrays["kernel"]


def batch_norm(arrays: Any, statistics: Any, train: bool) -> Any:
    x, params = _apart(arrays)
    layer = nn.BatchNorm(use_running_average=not train, epsilon=1e-3)
    variables = {"params": params, "batch_stats": statistics}
    return layer.apply(variables, x, mutable=["batch_stats"] if train else False)


def group_norm(arrays: Any, _: Any, train: bool, groups: int) -> Any:
    x, params = _apart(arrays)
    return nn.GroupNorm(groups, epsilon=1e-3).apply({"params": params}, x)


def layer_norm(arrays: Any, _: Any, train: bool) -> Any:
    x, params = _apart(arrays)
    return nn.LayerNorm(epsilon=1e-3).apply({"params": params}, x)


def local_response_norm(
    arrays: Any, _: Any, train: bool, size: int, k: float, alpha: float, beta: float
) -> Any:
    x, one = arrays["x"], (1, 1, 1)
    window = lax.reduce_window(x * x, 0.0, lax.add, (*one, size), (*one, 1), "SAME")
    return x / (k + alpha * window) ** beta


def attention(arrays: Any, _: Any, train: bool, heads: int) -> Any:
    params = {
        part: {kind: arrays[f"{part}_{kind}"] for kind in ("kernel", "bias")}
        for part in ("query", "key", "value", "out")
    }
    layer = nn.MultiHeadDotProductAttention(heads)
    return layer.apply({"params": params}, arrays["x"])


def embedding(arrays: Any, constants: Any, train: bool) -> Any:
    layer = nn.Embed(*arrays["table"].shape)
    return layer.apply({"params": {"embedding": arrays["table"]}}, constants["ids"])


def _apart(arrays: Any) -> tuple[Any, Any]:
    return arrays["x"], {name: x for name, x in arrays.items() if name != "x"}


def _recurrent(cell: Any, gates: tuple[str, ...], sides: tuple[str, str]) -> Operation:
    """Return a recurrent layer; its cell has a dense layer for each gate and side."""
    of_input, of_state = sides

    def apply(arrays: Any, _: Any, train: bool) -> Any:
        features = arrays["cell"][f"{of_state}{gates[0]}"]["kernel"].shape[-1]
        layer = nn.RNN(cell(features))
        return layer.apply({"params": {"cell": arrays["cell"]}}, arrays["x"])

    def enter(arrays: Arrays) -> Any:
        own: dict[str, Any] = {}
        for side, name in ((of_input, "kernel"), (of_state, "recurrent_kernel")):
            parts = np.split(arrays[name], len(gates), axis=1)
            for gate, kernel in zip(gates, parts, strict=True):
                own[f"{side}{gate}"] = {"kernel": kernel}
        for gate, bias in _biases(arrays["bias"]).items():
            own[gate]["bias"] = bias
        return {"x": arrays["x"], "cell": own}

    def _biases(bias: np.ndarray) -> Arrays:
        first = np.split(np.atleast_2d(bias)[0], len(gates))
        side = of_state if len(gates) == 4 else of_input
        named = {f"{side}{gate}": b for gate, b in zip(gates, first, strict=True)}
        if len(gates) == 3:
            named["hn"] = np.split(bias[1], 3)[2]
        return named

    def leave(own: Any) -> Arrays:
        own = jax.tree.map(lambda x: np.asarray(x, np.float32), own)
        cell = own["cell"]
        arrays = {"x": own["x"]}
        for side, name in ((of_input, "kernel"), (of_state, "recurrent_kernel")):
            kernels = [cell[f"{side}{gate}"]["kernel"] for gate in gates]
            arrays[name] = np.concatenate(kernels, axis=1)
        side = of_state if len(gates) == 4 else of_input
        bias = np.concatenate([cell[f"{side}{gate}"]["bias"] for gate in gates])
        if len(gates) == 3:  # in Flax, the other two gates have a single bias
            second = np.full_like(bias, np.nan)
            second[-len(bias) // 3 :] = cell["hn"]["bias"]
            bias = np.stack([bias, second])
        return arrays | {"bias": bias}

    return Operation(apply, enter, leave)


_OPERATIONS = {
    f.__name__: Operation(f)
    for f in (
        *(conv, depthwise, conv_transpose, max_pool, avg_pool, global_avg_pool),
        *(upsample, dense, batch_norm, group_norm, layer_norm, local_response_norm),
        *(attention, embedding),
    )
} | {
    "lstm": _recurrent(nn.OptimizedLSTMCell, ("i", "f", "g", "o"), ("i", "h")),
    "gru": _recurrent(nn.GRUCell, ("z", "r", "n"), ("i", "h")),
    "simple_rnn": _recurrent(nn.SimpleCell, ("",), ("i", "h")),
}

"""fdl's functions and layers."""

from typing import Any

import jax.numpy as jnp

from bench.ops.draws import Draw
from bench.ops.programs import Program, Use
from bench.ops.sides import applied
from bench.ops.sides.applied import Operation
from bench.speed.twin import Precision
from fdl import nn, ops


def program(
    draw: Draw, operation: str, use: Use, precision: Precision | None
) -> Program:
    """Compile an operation."""
    return applied.program(Operation(_OPERATIONS[operation]), draw, use, precision)


def conv(arrays: Any, _: Any, train: bool, **options: Any) -> Any:
    return ops.conv(arrays["x"], arrays["kernel"], **options)


def depthwise(arrays: Any, _: Any, train: bool, **options: Any) -> Any:
    kernel = arrays["kernel"]
    layer = nn.DepthwiseConv2D(kernel.shape[:2], use_bias=False, **options)
    return layer.apply({"params": {"kernel": kernel}}, arrays["x"])


def conv_transpose(arrays: Any, _: Any, train: bool, **options: Any) -> Any:
    return ops.conv_transpose(arrays["x"], arrays["kernel"], **options)


def max_pool(arrays: Any, _: Any, train: bool, **options: Any) -> Any:
    return ops.max_pool(arrays["x"], **options)


def avg_pool(arrays: Any, _: Any, train: bool, **options: Any) -> Any:
    return ops.avg_pool(arrays["x"], **options)


def global_avg_pool(arrays: Any, _: Any, train: bool) -> Any:
    return ops.global_avg_pool(arrays["x"])


def upsample(arrays: Any, _: Any, train: bool, **options: Any) -> Any:
    return ops.upsample(arrays["x"], **options)


def dense(arrays: Any, _: Any, train: bool) -> Any:
    return ops.dense(arrays["x"], arrays["kernel"])


def batch_norm(arrays: Any, statistics: Any, train: bool) -> Any:
    variables = {"params": _without_x(arrays), "batch_stats": statistics}
    layer = nn.BatchNormalization()
    if not train:
        return layer.apply(variables, arrays["x"])
    return layer.apply(variables, arrays["x"], train=True, mutable=["batch_stats"])


def group_norm(arrays: Any, _: Any, train: bool, groups: int) -> Any:
    layer = nn.GroupNormalization(groups)
    if groups == arrays["x"].shape[-1]:
        layer = nn.InstanceNormalization()
    return layer.apply({"params": _without_x(arrays)}, arrays["x"])


def layer_norm(arrays: Any, _: Any, train: bool) -> Any:
    return nn.LayerNormalization().apply({"params": _without_x(arrays)}, arrays["x"])


def local_response_norm(arrays: Any, _: Any, train: bool, **options: Any) -> Any:
    return ops.local_response_norm(arrays["x"], **options)


def lstm(arrays: Any, _: Any, train: bool) -> Any:
    zeros = _zeros(arrays)
    return ops.lstm(**arrays, state=ops.LSTMState(zeros, zeros)).outputs


def gru(arrays: Any, _: Any, train: bool) -> Any:
    return ops.gru(**arrays, h=_zeros(arrays)).outputs


def simple_rnn(arrays: Any, _: Any, train: bool) -> Any:
    return ops.simple_rnn(**arrays, h=_zeros(arrays)).outputs


def attention(arrays: Any, _: Any, train: bool, heads: int) -> Any:
    x = arrays["x"]
    params = {
        part: {kind: arrays[f"{part}_{kind}"] for kind in ("kernel", "bias")}
        for part in ("query", "key", "value", "out")
    }
    layer = nn.MultiHeadAttention(heads, x.shape[-1] // heads)
    return layer.apply({"params": params}, x, train=train)


def embedding(arrays: Any, constants: Any, train: bool) -> Any:
    layer = nn.Embedding(*arrays["table"].shape)
    return layer.apply({"params": {"embedding": arrays["table"]}}, constants["ids"])


def _without_x(arrays: Any) -> Any:
    return {name: x for name, x in arrays.items() if name != "x"}


def _zeros(arrays: Any) -> Any:
    x, kernel = arrays["x"], arrays["recurrent_kernel"]
    return jnp.zeros((len(x), len(kernel)), x.dtype)


_OPERATIONS = {
    f.__name__: f
    for f in (
        *(conv, depthwise, conv_transpose, max_pool, avg_pool, global_avg_pool),
        *(upsample, dense, batch_norm, group_norm, layer_norm, lstm, gru, simple_rnn),
        *(local_response_norm, attention, embedding),
    )
}

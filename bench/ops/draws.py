"""Arrays of each operation, in fdl's layout, from the sizes of a row."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from bench.ops.rows import Row

Arrays = dict[str, np.ndarray]


class Draw(NamedTuple):
    """The arguments of an operation.

    Attributes:
        arrays: Inputs and parameters, with gradients.
        constants: Arrays without gradients.
        options: Everything else.
    """

    arrays: Arrays
    options: Mapping[str, Any] = MappingProxyType({})
    constants: Mapping[str, np.ndarray] = MappingProxyType({})


def draw(row: Row, batch: int) -> Draw:
    """Draw the arguments of a row, always the same."""
    return _DRAWS[row.operation](batch, **row.sizes)


def cotangent(shape: tuple[int, ...]) -> np.ndarray:
    """Draw a random gradient of the output, with a norm of 1 for each feature."""
    rng = np.random.default_rng(1)
    scale = np.sqrt(shape[-1] / np.prod(shape))
    return scale.astype(np.float32) * rng.standard_normal(shape, np.float32)


def _normal(seed: int, *shape: int, fan_in: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape, np.float32) / np.float32(np.sqrt(fan_in))


def _pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def _conv(
    batch: int,
    size: int,
    channels: int,
    features: int,
    window: Any,
    strides: int = 1,
    padding: str = "valid",
    dilation: int = 1,
    groups: int = 1,
) -> Draw:
    height, width = _pair(window)
    seen = channels // groups
    arrays = {
        "x": _normal(2, batch, size, size, channels),
        "kernel": _normal(
            3, height, width, seen, features, fan_in=height * width * seen
        ),
    }
    options = {"strides": _pair(strides), "padding": padding}
    return Draw(arrays, options | {"dilation": _pair(dilation), "groups": groups})


def _depthwise(
    batch: int,
    size: int,
    channels: int,
    window: int,
    strides: int = 1,
    padding: str = "valid",
) -> Draw:
    arrays = {
        "x": _normal(2, batch, size, size, channels),
        "kernel": _normal(3, window, window, channels, 1, fan_in=window**2),
    }
    return Draw(arrays, {"strides": _pair(strides), "padding": padding})


def _conv_transpose(
    batch: int,
    size: int,
    channels: int,
    features: int,
    window: int,
    strides: int,
    padding: str,
) -> Draw:
    arrays = {
        "x": _normal(2, batch, size, size, channels),
        "kernel": _normal(3, window, window, features, channels, fan_in=4 * channels),
    }
    return Draw(arrays, {"strides": _pair(strides), "padding": padding})


def _pool(
    batch: int,
    size: int,
    channels: int,
    window: int,
    strides: int | None = None,
    padding: str = "valid",
) -> Draw:
    arrays = {"x": _normal(2, batch, size, size, channels)}
    options = {"window": _pair(window), "strides": _pair(strides or window)}
    return Draw(arrays, options | {"padding": padding})


def _global_pool(batch: int, size: int, channels: int) -> Draw:
    return Draw({"x": _normal(2, batch, size, size, channels)})


def _upsample(batch: int, size: int, channels: int, factor: int, method: str) -> Draw:
    arrays = {"x": _normal(2, batch, size, size, channels)}
    return Draw(arrays, {"factor": _pair(factor), "method": method})


def _dense(batch: int, channels: int, features: int, time: int | None = None) -> Draw:
    rows = (batch,) if time is None else (batch, time)
    kernel = _normal(3, channels, features, fan_in=channels)
    return Draw({"x": _normal(2, *rows, channels), "kernel": kernel})


def _batch_norm(batch: int, size: int, channels: int) -> Draw:
    x = _normal(2, batch, size, size, channels)
    constants = {"mean": np.zeros(channels, "f4"), "var": np.ones(channels, "f4")}
    return Draw({"x": x, **_affine(channels)}, constants=constants)


def _group_norm(batch: int, size: int, channels: int, groups: int) -> Draw:
    x = _normal(2, batch, size, size, channels)
    return Draw({"x": x, **_affine(channels)}, {"groups": groups})


def _layer_norm(batch: int, time: int, channels: int) -> Draw:
    return Draw({"x": _normal(2, batch, time, channels), **_affine(channels)})


def _affine(channels: int) -> Arrays:
    return {"scale": 1 + _normal(3, channels, fan_in=9), "bias": _normal(4, channels)}


def _recurrent(gates: int) -> Any:
    def make(batch: int, time: int, channels: int, features: int) -> Draw:
        wide = gates * features
        bias = _normal(5, wide)
        if gates == 3:
            # For the first two gates, only the sum of the biases matters, and Flax has
            # no second bias.
            second = np.where(np.arange(wide) < 2 * features, 0, _normal(6, wide))
            bias = np.stack([bias, second.astype(np.float32)])
        arrays = {
            "x": _normal(2, batch, time, channels),
            "kernel": _normal(3, channels, wide, fan_in=channels),
            "recurrent_kernel": _normal(4, features, wide, fan_in=features),
        }
        return Draw({**arrays, "bias": bias})

    return make


def _local_response_norm(batch: int, size: int, channels: int, window: int) -> Draw:
    options = {"size": window, "k": 2.0, "alpha": 1e-2, "beta": 0.75}
    return Draw({"x": _normal(2, batch, size, size, channels)}, options)


def _attention(batch: int, time: int, channels: int, heads: int) -> Draw:
    size = channels // heads
    arrays = {"x": _normal(2, batch, time, channels)}
    for seed, part in enumerate(("query", "key", "value"), start=3):
        kernel = _normal(seed, channels, heads, size, fan_in=channels)
        arrays |= {f"{part}_kernel": kernel, f"{part}_bias": _normal(9, heads, size)}
    arrays["out_kernel"] = _normal(7, heads, size, channels, fan_in=channels)
    arrays["out_bias"] = _normal(8, channels)
    return Draw(arrays, {"heads": heads})


def _embedding(batch: int, time: int, count: int, features: int) -> Draw:
    ids = np.random.default_rng(2).integers(count, size=(batch, time), dtype=np.int32)
    return Draw({"table": _normal(3, count, features)}, constants={"ids": ids})


_DRAWS: dict[str, Any] = {
    "conv": _conv,
    "depthwise": _depthwise,
    "conv_transpose": _conv_transpose,
    "max_pool": _pool,
    "avg_pool": _pool,
    "global_avg_pool": _global_pool,
    "upsample": _upsample,
    "dense": _dense,
    "batch_norm": _batch_norm,
    "group_norm": _group_norm,
    "layer_norm": _layer_norm,
    "local_response_norm": _local_response_norm,
    "lstm": _recurrent(4),
    "gru": _recurrent(3),
    "simple_rnn": _recurrent(1),
    "attention": _attention,
    "embedding": _embedding,
}

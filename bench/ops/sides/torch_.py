"""PyTorch: eager functions, channels last for images; on a GPU also as a CUDA graph."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from bench.ops.draws import Arrays, Draw, cotangent
from bench.ops.programs import FIRST_STEPS, RATE, Program, Use
from bench.speed.twin import Precision

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Operation(NamedTuple):
    """An operation, and conversions of its arrays if their layout differs from fdl's.

    Attributes:
        apply: From tensors by name, whether to train, and options to the output.
        enter: From fdl's arrays to its own.
        leave: From its own arrays to fdl's.
    """

    apply: Callable[..., Any]
    enter: Callable[[Arrays], Arrays] = lambda arrays: arrays
    leave: Callable[[Arrays], Arrays] = lambda arrays: arrays


def program(
    draw: Draw,
    operation: str,
    use: Use,
    precision: Precision | None,
    graph: bool = False,
) -> Program:
    """Prepare an operation; with `graph`, captured as a CUDA graph."""
    op = _OPERATIONS[operation]
    torch.backends.cuda.matmul.allow_tf32 = precision != "float32"
    torch.backends.cudnn.allow_tf32 = precision != "float32"
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32

    def put(x: np.ndarray) -> torch.Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(x)).to(DEVICE)
        if x.ndim == 4:
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    def host(named: dict[str, torch.Tensor]) -> Arrays:
        own = {name: x.detach().float().cpu().numpy() for name, x in named.items()}
        return op.leave(own)

    arrays = {name: put(x) for name, x in op.enter(draw.arrays).items()}
    constants = {name: put(x) for name, x in draw.constants.items()}
    leaves = list(arrays.values())

    def forward() -> Any:
        with torch.inference_mode():
            return op.apply(**arrays, **constants, **draw.options, train=False)

    def training() -> Any:
        y = op.apply(**arrays, **constants, **draw.options, train=True)
        return y, torch.autograd.grad(y, leaves, dy)

    def step() -> Any:
        y, slopes = training()
        with torch.no_grad():
            torch._foreach_add_(leaves, slopes, alpha=-RATE)
        return y, leaves

    shape = host({"output": forward()})["output"].shape
    dy = put(op.enter({"output": cotangent(shape)})["output"])
    for leaf in leaves:
        leaf.requires_grad_(use != "forward")
    call = {"forward": forward, "training": training, "loop": step}[use]

    def first() -> Arrays:
        if use == "forward":
            return host({"output": forward()})
        for _ in range(FIRST_STEPS if use == "loop" else 1):
            y, found = call()
        return host({"output": y, **dict(zip(arrays, found, strict=True))})

    return Program(first, _repeated(_captured(call) if graph else call))


def _captured(call: Callable[[], Any]) -> Callable[[], Any]:
    """Return a CUDA-graph replay of a call, which avoids kernel launches."""
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def _repeated(call: Callable[[], Any]) -> Callable[[int], Any]:
    def run(times: int) -> None:
        for _ in range(times):
            call()
        if DEVICE == "cuda":
            torch.cuda.synchronize()

    return run


def _border(size: int, window: int, stride: int, padding: str) -> int:
    """Return Keras' padding, which is the same before and after in all rows."""
    if padding == "valid":
        return 0
    total = max(0, (-(-size // stride) - 1) * stride + window - size)
    if total % 2:
        raise ValueError(f"padding {total} pixels is more after than before.")
    return total // 2


def _borders(x: Any, window: Any, strides: Any, padding: str) -> list[int]:
    every = zip(x.shape[2:], window, strides, strict=True)
    return [_border(*each, padding) for each in every]


def conv(
    x: Any,
    kernel: Any,
    strides: Any,
    padding: str,
    train: bool,
    dilation: Any = (1, 1),
    groups: int = 1,
) -> Any:
    spans = [(w - 1) * d + 1 for w, d in zip(kernel.shape[2:], dilation, strict=True)]
    borders = _borders(x, spans, strides, padding)
    return F.conv2d(x, kernel, None, strides, borders, dilation, groups)


def depthwise(x: Any, kernel: Any, **options: Any) -> Any:
    return conv(x, kernel, **options, groups=len(kernel))


def conv_transpose(x: Any, kernel: Any, strides: Any, padding: str, train: bool) -> Any:
    borders = [(w - s) // 2 for w, s in zip(kernel.shape[2:], strides, strict=True)]
    return F.conv_transpose2d(x, kernel, None, strides, borders)


def max_pool(x: Any, window: Any, strides: Any, padding: str, train: bool) -> Any:
    return F.max_pool2d(x, window, strides, _borders(x, window, strides, padding))


def avg_pool(x: Any, window: Any, strides: Any, padding: str, train: bool) -> Any:
    borders = _borders(x, window, strides, padding)
    return F.avg_pool2d(x, window, strides, borders, count_include_pad=False)


def global_avg_pool(x: Any, train: bool) -> Any:
    return x.mean((2, 3))


def upsample(x: Any, factor: Any, method: str, train: bool) -> Any:
    return F.interpolate(x, scale_factor=tuple(map(float, factor)), mode=method)


def dense(x: Any, kernel: Any, train: bool) -> Any:
    return F.linear(x, kernel)


def batch_norm(x: Any, scale: Any, bias: Any, mean: Any, var: Any, train: bool) -> Any:
    return F.batch_norm(x, mean, var, scale, bias, train, 0.01, 1e-3)


def group_norm(x: Any, scale: Any, bias: Any, groups: int, train: bool) -> Any:
    return F.group_norm(x, groups, scale, bias, 1e-3)


def layer_norm(x: Any, scale: Any, bias: Any, train: bool) -> Any:
    return F.layer_norm(x, x.shape[-1:], scale, bias, 1e-3)


def local_response_norm(
    x: Any, size: int, k: float, alpha: float, beta: float, train: bool
) -> Any:
    return F.local_response_norm(x, size, size * alpha, beta, k)


def _recurrent(run: Any) -> Any:
    def apply(
        x: Any, kernel: Any, recurrent_kernel: Any, bias: Any, train: bool
    ) -> Any:
        zeros = x.new_zeros(1, len(x), recurrent_kernel.shape[1])
        state = (zeros, zeros) if run is torch.lstm else zeros
        biases = bias if bias.ndim == 2 else (bias, torch.zeros_like(bias))
        weights = [kernel, recurrent_kernel, *biases]
        return run(x, state, weights, True, 1, 0.0, train, False, True)[0]

    return apply


def attention(x: Any, heads: int, train: bool, **params: Any) -> Any:
    batch, time, features = x.shape
    qkv = F.linear(x, params["qkv_kernel"], params["qkv_bias"])
    qkv = qkv.view(batch, time, 3, heads, -1).permute(2, 0, 3, 1, 4)
    y = F.scaled_dot_product_attention(*qkv.unbind(0))
    y = y.transpose(1, 2).reshape(batch, time, features)
    return F.linear(y, params["out_kernel"], params["out_bias"])


def embedding(table: Any, ids: Any, train: bool) -> Any:
    return F.embedding(ids, table)


def _transposed(apply: Any, **axes: tuple[int, ...]) -> Operation:
    """Return an operation with other orders of axes in some arrays."""
    back = {name: tuple(np.argsort(order)) for name, order in axes.items()}

    def change(arrays: Arrays, axes: Any) -> Arrays:
        return {
            name: x.transpose(axes[name]) if name in axes else x
            for name, x in arrays.items()
        }

    return Operation(
        apply, lambda arrays: change(arrays, axes), lambda arrays: change(arrays, back)
    )


def _images(apply: Any, **axes: tuple[int, ...]) -> Operation:
    return _transposed(apply, x=_FIRST, output=_FIRST, **axes)


def _gated(run: Any, order: tuple[int, ...]) -> Operation:
    """Return a recurrent operation with the order of gates changed to PyTorch's."""

    def change(arrays: Arrays, enters: bool) -> Arrays:
        changed = {}
        for name, x in arrays.items():
            if name in ("x", "output"):
                changed[name] = x
                continue
            x = x if enters else x.T if "kernel" in name else x
            parts = np.split(x, len(order), axis=-1)
            x = np.concatenate([parts[gate] for gate in order], axis=-1)
            changed[name] = x.T if enters and "kernel" in name else x
        return changed

    return Operation(
        _recurrent(run),
        lambda arrays: change(arrays, True),
        lambda arrays: change(arrays, False),
    )


_PARTS = ("query", "key", "value")


def _enter_attention(arrays: Arrays) -> Arrays:
    if "out_kernel" not in arrays:
        return arrays
    channels = arrays["out_bias"].size
    kernels = [arrays[f"{part}_kernel"].reshape(channels, -1).T for part in _PARTS]
    return {
        "x": arrays["x"],
        "qkv_kernel": np.concatenate(kernels),
        "qkv_bias": np.concatenate([arrays[f"{p}_bias"].ravel() for p in _PARTS]),
        "out_kernel": arrays["out_kernel"].reshape(-1, channels).T,
        "out_bias": arrays["out_bias"],
    }


def _leave_attention(arrays: Arrays) -> Arrays:
    """Return arrays in fdl's layout, with the axes of heads joined."""
    if "out_kernel" not in arrays:
        return arrays
    left = {name: x for name, x in arrays.items() if "qkv" not in name}
    left["out_kernel"] = left["out_kernel"].T
    for kind in ("kernel", "bias"):
        three = np.split(arrays[f"qkv_{kind}"], 3)
        left |= {f"{p}_{kind}": x.T for p, x in zip(_PARTS, three, strict=True)}
    return left


_FIRST = (0, 3, 1, 2)
_KERNEL = (3, 2, 0, 1)
_OPERATIONS = {
    "conv": _images(conv, kernel=_KERNEL),
    "depthwise": _images(depthwise, kernel=(2, 3, 0, 1)),
    "conv_transpose": _images(conv_transpose, kernel=_KERNEL),
    "max_pool": _images(max_pool),
    "avg_pool": _images(avg_pool),
    "global_avg_pool": _transposed(global_avg_pool, x=_FIRST),
    "upsample": _images(upsample),
    "dense": _transposed(dense, kernel=(1, 0)),
    "batch_norm": _images(batch_norm),
    "group_norm": _images(group_norm),
    "layer_norm": Operation(layer_norm),
    "local_response_norm": _images(local_response_norm),
    "lstm": _gated(torch.lstm, (0, 1, 2, 3)),
    "gru": _gated(torch.gru, (1, 0, 2)),
    "simple_rnn": _gated(torch.rnn_tanh, (0,)),
    "attention": Operation(attention, _enter_attention, _leave_attention),
    "embedding": Operation(embedding),
}

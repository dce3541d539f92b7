"""Translate operations that combine elements: reductions, products, pooling."""

import functools
import string
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from fdl.keras.graph.description import Slice
from fdl.keras.tracing.builder import Builder
from fdl.keras.tracing.moving import ints
from fdl.keras.tracing.nodes import Out


def _reduce(kind: str) -> Callable[..., Out]:
    def reduce(b: Builder, equation: Any, x: Out) -> Out:
        x = b.whole(x, equation.invars[0].aval)
        axes = ints(equation.params["axes"])
        shape = b.shape(equation.outvars[0].aval)
        return b.op(kind, (x,), shape, equation.outvars[0].aval.dtype, axis=axes)

    return reduce


def _arg_reduce(kind: str) -> Callable[..., Out]:
    def reduce(b: Builder, equation: Any, x: Out) -> Out:
        x = b.whole(x, equation.invars[0].aval)
        (axis,) = ints(equation.params["axes"])
        shape = b.shape(equation.outvars[0].aval)
        made = b.op(kind, (x,), shape, np.int32, axis=axis)
        dtype = equation.outvars[0].aval.dtype
        return (
            made
            if dtype == np.int32
            else b.op("Cast", (made,), shape, dtype, dtype=np.dtype(dtype).name)
        )

    return reduce


def _cumulative(kind: str) -> Callable[..., Out | None]:
    def accumulate(b: Builder, equation: Any, x: Out) -> Out | None:
        if equation.params["reverse"]:
            return None
        x = b.whole(x, equation.invars[0].aval)
        return b.op(kind, (x,), x.shape, x.dtype, axis=equation.params["axis"])

    return accumulate


def _product(b: Builder, equation: Any, x: Any, y: Any) -> Out:
    ((contract_x, contract_y), (batch_x, batch_y)) = equation.params[
        "dimension_numbers"
    ]
    x, y = (
        b.whole(each, var.aval)
        for each, var in zip((x, y), equation.invars, strict=True)
    )
    letters = iter(string.ascii_lowercase)
    left = [next(letters) for _ in x.shape]
    right = [next(letters) for _ in y.shape]
    for mine, other in zip(
        (*contract_x, *batch_x), (*contract_y, *batch_y), strict=True
    ):
        right[other] = left[mine]
    out = [left[axis] for axis in batch_x]
    out += [c for axis, c in enumerate(left) if axis not in (*contract_x, *batch_x)]
    out += [c for axis, c in enumerate(right) if axis not in (*contract_y, *batch_y)]
    subscripts = f"{''.join(left)},{''.join(right)}->{''.join(out)}"
    shape = b.shape(equation.outvars[0].aval)
    return b.op(
        "Einsum", (x, y), shape, equation.outvars[0].aval.dtype, subscripts=subscripts
    )


def _window_maximum(b: Builder, equation: Any, x: Out) -> Out | None:
    return _pooling(b, equation, x, "Max")


def _window_sum(b: Builder, equation: Any, x: Out) -> Out | None:
    if equation.params["window_dimensions"][-1] > 1:
        return _sum_of_neighbors(b, equation, x)
    made = _pooling(b, equation, x, "Average")
    if made is None or any(map(sum, equation.params["padding"])):
        return None
    count = float(np.prod(equation.params["window_dimensions"]))
    return b.op("Multiply", (made, count), made.shape, made.dtype)


def _sum_of_neighbors(b: Builder, equation: Any, x: Out) -> Out | None:
    """Return sums over neighboring channels, as a sum of shifted arrays."""
    params = equation.params
    *others, size = ints(params["window_dimensions"])
    steps = (*params["window_strides"], *params["base_dilation"])
    *around, (low, high) = (ints(pair) for pair in params["padding"])
    if {*others, *steps, *params["window_dilation"]} != {1} or any(map(any, around)):
        return None
    x = b.whole(x, equation.invars[0].aval)
    shape = b.shape(equation.outvars[0].aval)
    rest, channels = shape[:-1], int(equation.outvars[0].aval.shape[-1])
    pads, wide = (*around, (low, high)), (*rest, channels + size - 1)
    padded = b.op("Pad", (x,), wide, x.dtype, pad_width=pads)
    every = (Slice(None, None, None),) * len(rest)
    shifted = [
        b.op("GetItem", (padded, (*every, Slice(i, i + channels, 1))), shape, x.dtype)
        for i in range(size)
    ]
    add = lambda one, other: b.op("Add", (one, other), shape, x.dtype)
    return functools.reduce(add, shifted)


def _pooling(b: Builder, equation: Any, x: Out, kind: str) -> Out | None:
    params = equation.params
    x = b.whole(x, equation.invars[0].aval)
    window, strides = (
        ints(params["window_dimensions"]),
        ints(params["window_strides"]),
    )
    rank, pads = len(window) - 2, tuple(map(tuple, params["padding"]))
    ends = {window[0], window[-1], strides[0], strides[-1]}
    dilated = {*params["base_dilation"], *params["window_dilation"]}
    if not 1 <= rank <= 3 or ends != {1} or dilated != {1}:
        return None
    padding = "same" if any(map(sum, pads)) else "valid"
    if padding == "same":
        sizes = tuple(1 if size is None else size for size in x.shape)
        same = jax.lax.padtype_to_pads(sizes, window, strides, "SAME")
        if pads != tuple(map(tuple, same)):
            return None
    options = {
        "pool_size": window[1:-1],
        "strides": strides[1:-1],
        "padding": padding,
    }
    shape = b.shape(equation.outvars[0].aval)
    return b.layer(f"{kind}Pooling{rank}D", options, (x,), shape)


def _top_k(b: Builder, equation: Any, x: Out) -> list[Out]:
    x = b.whole(x, equation.invars[0].aval)
    values, places = equation.outvars
    first = b.op(
        "TopK", (x,), b.shape(values.aval), x.dtype, k=int(equation.params["k"])
    )
    return [first, first._replace(output=1, dtype=places.aval.dtype)]


COMBINING: Mapping[str, Callable[..., Any]] = {
    "argmax": _arg_reduce("Argmax"),
    "argmin": _arg_reduce("Argmin"),
    "cumprod": _cumulative("Cumprod"),
    "cumsum": _cumulative("Cumsum"),
    "dot_general": _product,
    "reduce_and": _reduce("All"),
    "reduce_max": _reduce("Max"),
    "reduce_min": _reduce("Min"),
    "reduce_or": _reduce("Any"),
    "reduce_prod": _reduce("Prod"),
    "reduce_sum": _reduce("Sum"),
    "reduce_window_max": _window_maximum,
    "reduce_window_sum": _window_sum,
    "top_k": _top_k,
}

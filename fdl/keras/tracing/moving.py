"""Translate operations that move elements: reshaping, slicing, padding, gathering."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np

from fdl.keras.graph.description import Slice
from fdl.keras.tracing.builder import Builder
from fdl.keras.tracing.nodes import Out


def _reshaped(b: Builder, x: Out, before: Any, after: Any) -> Out | None:
    """Reshape a value from the shape `before` to `after`, both of the program."""
    shape = b.shape(after)
    if x.shape == shape and before.shape == after.shape:
        return x
    same_batch = before.shape[:1] == after.shape[:1] and x.shape[:1] == (None,)
    if same_batch and None not in shape[1:]:
        if len(shape) == 2 and len(x.shape) > 2:
            return b.layer("Flatten", {}, (x,), shape)
        return b.layer("Reshape", {"target_shape": shape[1:]}, (x,), shape)
    if shape.count(None) > 1:
        return None
    sizes = tuple(-1 if size is None else size for size in shape)
    return b.op("Reshape", (x,), shape, x.dtype, newshape=sizes)


def _reshape(b: Builder, equation: Any, x: Out) -> Out | None:
    if equation.params.get("dimensions") is not None:
        return None
    before = equation.invars[0].aval
    x = b.whole(x, before)
    return _reshaped(b, x, before, equation.outvars[0].aval)


def _broadcast(b: Builder, equation: Any, x: Out) -> Out | None:
    """Insert axes of size 1; later operations broadcast them implicitly."""
    after = equation.outvars[0].aval
    sizes: list[Any] = [1] * len(after.shape)
    before = equation.invars[0].aval
    for axis, size, own in zip(
        equation.params["broadcast_dimensions"], x.shape, before.shape, strict=True
    ):
        sizes[axis] = own if size is None else size
    actual = jax.ShapeDtypeStruct(_actual(x, before), x.dtype)
    return _reshaped(b, x, actual, jax.ShapeDtypeStruct(tuple(sizes), x.dtype))


def _actual(x: Out, aval: Any) -> tuple[Any, ...]:
    """Return the shape in Keras, with unknown sizes taken from the program."""
    return tuple(
        own if size is None else size
        for size, own in zip(x.shape, aval.shape, strict=True)
    )


def _transpose(b: Builder, equation: Any, x: Out) -> Out:
    order = ints(equation.params["permutation"])
    shape = tuple(x.shape[axis] for axis in order)
    if order[0] == 0:
        return b.layer("Permute", {"dims": order[1:]}, (x,), shape)
    return b.op("Transpose", (x,), shape, x.dtype, axes=order)


def _concatenate(b: Builder, equation: Any, *given: Any) -> Out:
    axis, shape = equation.params["dimension"], b.shape(equation.outvars[0].aval)
    parts = tuple(
        b.whole(x, var.aval) for x, var in zip(given, equation.invars, strict=True)
    )
    if all(isinstance(x, Out) for x in parts):
        return b.layer("Concatenate", {"axis": axis}, (parts,), shape)
    return b.op(
        "Concatenate", (parts,), shape, equation.outvars[0].aval.dtype, axis=axis
    )


def _stack(b: Builder, equation: Any, *given: Any) -> Out:
    parts = tuple(
        b.whole(x, var.aval) for x, var in zip(given, equation.invars, strict=True)
    )
    end = equation.outvars[0].aval
    axis = equation.params["axis"]
    return b.op("Stack", (parts,), b.shape(end), end.dtype, axis=axis)


def _slice(b: Builder, equation: Any, x: Out) -> Out:
    before = equation.invars[0].aval
    x = b.whole(x, before)
    params = equation.params
    steps = params["strides"] or (1,) * len(x.shape)
    starts, limits = params["start_indices"], params["limit_indices"]
    key = tuple(
        Slice(None, None, None)
        if (start, step) == (0, 1) and (size is None or limit == size)
        else Slice(int(start), int(limit), int(step))
        for start, limit, step, size in zip(starts, limits, steps, x.shape, strict=True)
    )
    return b.op("GetItem", (x, key), b.shape(equation.outvars[0].aval), x.dtype)


def _gather(b: Builder, equation: Any, x: Any, places: Any) -> Out | None:
    """Return the elements at constant indices: `x[..., 0, 2:4]`, `x[:, [2, 0]]`."""
    if not isinstance(x, Out) or isinstance(places, Out):
        return None
    before, after = equation.invars[0].aval, equation.outvars[0].aval
    numbers, sizes = (
        equation.params["dimension_numbers"],
        equation.params["slice_sizes"],
    )
    axes, gone = numbers.start_index_map, numbers.collapsed_slice_dims
    rest = [axis for axis in range(len(sizes)) if axis not in axes]
    if any(sizes[axis] != before.shape[axis] for axis in rest):
        return None
    x, shape = b.whole(x, before), b.shape(after)
    if np.ndim(places) == 1:
        key: list[Any] = [Slice(None, None, None)] * len(sizes)
        for axis, place in zip(axes, ints(places), strict=True):
            end = place + int(sizes[axis])
            key[axis] = place if axis in gone else Slice(place, end, None)
        return b.op("GetItem", (x, tuple(key)), shape, x.dtype)
    kept = tuple(axis for axis in range(len(shape)) if axis not in axes)
    one_axis = len(axes) == 1 and gone == axes and np.ndim(places) == 2
    if not one_axis or numbers.offset_dims != kept:
        return None
    return b.op("Take", (x, places[:, 0]), shape, x.dtype, axis=axes[0])


def _split(b: Builder, equation: Any, x: Out) -> list[Out]:
    x = b.whole(x, equation.invars[0].aval)
    ends = np.cumsum(equation.params["sizes"])[:-1]
    first = b.op(
        "Split",
        (x,),
        x.shape,
        x.dtype,
        indices_or_sections=ints(ends),
        axis=equation.params["axis"],
    )
    return [
        first._replace(output=number, shape=b.shape(var.aval))
        for number, var in enumerate(equation.outvars)
    ]


def _pad(b: Builder, equation: Any, x: Out, value: Any) -> Out | None:
    widths = equation.params["padding_config"]
    if any(low < 0 or high < 0 or inside for low, high, inside in widths):
        return None
    x = b.whole(x, equation.invars[0].aval)
    pairs = tuple((int(low), int(high)) for low, high, _ in widths)
    shape = b.shape(equation.outvars[0].aval)
    made = b.op("Pad", (x,), shape, x.dtype, pad_width=pairs)
    number = np.asarray(value).item()
    if number:
        b.nodes[made.node].kwargs["constant_values"] = number
    return made


def _reverse(b: Builder, equation: Any, x: Out) -> Out:
    x = b.whole(x, equation.invars[0].aval)
    axes = ints(equation.params["dimensions"])
    return b.op("Flip", (x,), x.shape, x.dtype, axis=axes)


def ints(values: Iterable[Any]) -> tuple[int, ...]:
    """Convert integers to Python's `int`."""
    return tuple(int(value) for value in values)


MOVING: Mapping[str, Callable[..., Any]] = {
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "expand_dims": _reshape,
    "gather": _gather,
    "pad": _pad,
    "reshape": _reshape,
    "rev": _reverse,
    "slice": _slice,
    "split": _split,
    "squeeze": _reshape,
    "stack": _stack,
    "transpose": _transpose,
}

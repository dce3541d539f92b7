"""Translate elementwise operations."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fdl.keras.tracing.builder import Builder
from fdl.keras.tracing.nodes import Out, Shape

_ELEMENTWISE = {
    "abs": "Absolute",
    "atan": "Arctan",
    "ceil": "Ceil",
    "cos": "Cos",
    "cosh": "Cosh",
    "erf": "Erf",
    "exp": "Exp",
    "expm1": "Expm1",
    "floor": "Floor",
    "is_finite": "Isfinite",
    "log": "Log",
    "log1p": "Log1p",
    "neg": "Negative",
    "not": "LogicalNot",
    "rsqrt": "Rsqrt",
    "sign": "Sign",
    "sin": "Sin",
    "sinh": "Sinh",
    "sqrt": "Sqrt",
    "square": "Square",
    "stop_gradient": "StopGradient",
    "tan": "Tan",
}
_PAIRS = {
    "add": "Add",
    "add_any": "Add",
    "and": "LogicalAnd",
    "atan2": "Arctan2",
    "div": "Divide",
    "eq": "Equal",
    "ge": "GreaterEqual",
    "gt": "Greater",
    "le": "LessEqual",
    "lt": "Less",
    "max": "Maximum",
    "min": "Minimum",
    "mul": "Multiply",
    "ne": "NotEqual",
    "or": "LogicalOr",
    "pow": "Power",
    "sub": "Subtract",
    "xor": "LogicalXor",
}
_MERGING = ("Add", "Subtract", "Multiply", "Maximum", "Minimum")
_LOGICAL = ("LogicalAnd", "LogicalOr", "LogicalXor", "LogicalNot")


def _shape_of(x: Any) -> Shape:
    return x.shape if isinstance(x, Out) else np.shape(x)


def _together(*shapes: Shape) -> Shape:
    """Return the shape to which shapes broadcast."""
    most = max(map(len, shapes))
    padded = [(1,) * (most - len(shape)) + tuple(shape) for shape in shapes]
    return tuple(
        None if None in sizes else max(sizes) for sizes in zip(*padded, strict=True)
    )


def _dtype(equation: Any) -> Any:
    return equation.outvars[0].aval.dtype


def _elementwise(b: Builder, equation: Any, x: Out) -> Out | None:
    kind = _ELEMENTWISE[equation.primitive.name]
    if kind in _LOGICAL and x.dtype != bool:
        return None
    return b.op(kind, (x,), x.shape, _dtype(equation))


def _pair(b: Builder, equation: Any, x: Any, y: Any) -> Out | None:
    kind = _PAIRS[equation.primitive.name]
    if kind in _LOGICAL and not all(each.dtype == bool for each in (x, y)):
        return None
    if kind == "Divide" and not np.issubdtype(_dtype(equation), np.floating):
        return None
    if kind == "Divide" and (mean := _mean(b, x, y)) is not None:
        return mean
    shape = _together(_shape_of(x), _shape_of(y))
    both = isinstance(x, Out) and isinstance(y, Out)
    if both and x.shape == y.shape and kind in _MERGING:
        return b.layer(kind, {}, ((x, y),))
    return b.op(kind, (x, y), shape, _dtype(equation))


def _mean(b: Builder, x: Any, y: Any) -> Out | None:
    """Return a mean over axes, if the division turns a sum into one."""
    if not isinstance(x, Out) or isinstance(y, Out) or np.size(y) != 1:
        return None
    node = b.nodes[x.node]
    if node.kind != "ops.Sum":
        return None
    (given,), axes = node.args, node.options["axis"]
    sizes = [given.shape[axis] for axis in axes]
    if None in sizes or np.prod(sizes) != np.ravel(y)[0]:
        return None
    inside = len(given.shape) - 2
    if axes == tuple(range(1, inside + 1)) and 1 <= inside <= 3:
        return b.layer(f"GlobalAveragePooling{inside}D", {}, (given,), x.shape)
    return b.op("Mean", (given,), x.shape, x.dtype, axis=axes)


def _activation(name: str) -> Callable[..., Out]:
    def apply(b: Builder, equation: Any, x: Out) -> Out:
        return b.layer("Activation", {"activation": name}, (x,))

    return apply


def _same(b: Builder, equation: Any, x: Any) -> Any:
    return x


def _integer_power(b: Builder, equation: Any, x: Out) -> Out:
    exponent = equation.params["y"]
    if exponent == 2:
        return b.op("Square", (x,), x.shape, x.dtype)
    return b.op("Power", (x, float(exponent)), x.shape, x.dtype)


def _cast(b: Builder, equation: Any, x: Out) -> Out:
    dtype = np.dtype(equation.params["new_dtype"])
    if dtype == x.dtype:
        return x
    return b.op("Cast", (x,), x.shape, dtype, dtype=dtype.name)


def _where(b: Builder, equation: Any, which: Any, *cases: Any) -> Out | None:
    if len(cases) != 2 or which.dtype != bool:
        return None
    no, yes = cases
    shape = _together(*map(_shape_of, (which, no, yes)))
    return b.op("Where", (which, yes, no), shape, _dtype(equation))


def _clamp(b: Builder, equation: Any, low: Any, x: Any, high: Any) -> Out | None:
    if not isinstance(x, Out) or np.size(low) != 1 or np.size(high) != 1:
        return None
    ends = {"x_min": float(np.ravel(low)[0]), "x_max": float(np.ravel(high)[0])}
    return b.op("Clip", (x,), x.shape, x.dtype, **ends)


ELEMENTWISE: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(_ELEMENTWISE, _elementwise),
    **dict.fromkeys(_PAIRS, _pair),
    "clamp": _clamp,
    "convert_element_type": _cast,
    "copy": _same,
    "integer_pow": _integer_power,
    "logistic": _activation("sigmoid"),
    "select_n": _where,
    "tanh": _activation("tanh"),
}

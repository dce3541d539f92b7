"""Functions of `keras.ops` between the layers of a graph."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fdl import nn
from fdl.arrays import Array
from fdl.keras.table.core import unit_length
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.options import (
    MOST_REPEATED,
    Option,
    choice,
    either,
    flag,
    number,
    optional,
    several,
    text,
    whole,
)

_INT = whole(-(1 << 31))
AXES = either(choice(None), _INT, several(_INT))
ONE_AXIS = either(choice(None), _INT)


def dtype(value: Any) -> str:
    """Accept the name of a type."""
    known = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16")
    return choice(*known, "bfloat16", "float32", "float64")(value)


def unary(function: Callable[..., Any]) -> Entry:
    """Return the entry of a function of one array."""
    return Entry(lambda run, x: function(jnp.asarray(x)))


def aligned(*xs: Any) -> list[Any]:
    """Prepend axes so that all arrays have the same rank, as NumPy does implicitly."""
    arrays = [jnp.asarray(x) if hasattr(x, "ndim") else x for x in xs]
    most = max((x.ndim for x in arrays if hasattr(x, "ndim")), default=0)
    return [
        x.reshape((1,) * (most - x.ndim) + x.shape)
        if hasattr(x, "ndim") and x.ndim
        else x
        for x in arrays
    ]


def binary(function: Callable[..., Any]) -> Entry:
    """Return the entry of a function of two arrays that are broadcast."""
    return Entry(lambda run, x1, x2: function(*aligned(x1, x2)), kwargs=("x1", "x2"))


def by_options(function: Callable[..., Any], *call: str, **options: Option) -> Entry:
    """Pass options by name, except those that are None or False.

    Args:
        function: A function of arrays and options.
        *call: Further arguments of the function that may be arrays, by name.
        **options: The options.
    """

    def run_operation(run: Run, *args: Any, **kwargs: Any) -> Any:
        options = run.options.items()
        given = {k: v for k, v in options if v is not None and v is not False}
        return function(*args, **given, **kwargs)

    names = ("x", "x1", "x2", "xs", "indices", "weights", "constant_values", "key")
    return Entry(run_operation, options, kwargs=(*names, *call))


def reduction(function: Callable[..., Any], *call: str, **more: Option) -> Entry:
    """Return the entry of a function that reduces axes."""
    axes = {"axis": Option(AXES, None), "keepdims": Option(flag, False)}
    return by_options(function, *call, **axes, **more)


def _reshape(x: Array, newshape: Any) -> Array:
    return x.reshape(newshape)


def _where(run: Run, condition: Any, x1: Any = None, x2: Any = None) -> Array:
    return jnp.where(*aligned(condition, x1, x2))


def _get_item(run: Run, x: Array, key: Any) -> Array:
    return x[tuple(key) if isinstance(key, tuple | list) else key]


def _einsum(run: Run, *operands: Array) -> Array:
    return jnp.einsum(run.options["subscripts"], *operands)


def _clip(x: Array, x_min: float, x_max: float) -> Array:
    return jnp.clip(x, x_min, x_max)


def _split(x: Array, indices_or_sections: Any, axis: int = 0) -> tuple[Array, ...]:
    if isinstance(indices_or_sections, int):
        _require_few(indices_or_sections)
    return tuple(jnp.split(x, indices_or_sections, axis))


def _unstack(x: Array, axis: int = 0, num: int | None = None) -> tuple[Array, ...]:
    _require_few(x.shape[axis])
    return tuple(jnp.moveaxis(x, axis, 0))


def _require_few(parts: int) -> None:
    if parts > MOST_REPEATED:
        raise ValueError(
            f"an array is split into {parts:,} parts; the limit is {MOST_REPEATED:,}"
        )


def _normalize(
    x: Array, axis: int = -1, order: int = 2, epsilon: float | None = None
) -> Array:
    least = 1e-7 if epsilon is None else epsilon
    if order == 2:
        return unit_length(x, axis, least)
    size = jnp.linalg.norm(x, ord=order, axis=axis, keepdims=True)
    return x / jnp.broadcast_to(jnp.maximum(size, least), x.shape)


def _one_hot(x: Array, num_classes: int, axis: int = -1, dtype: Any = None) -> Array:
    return jax.nn.one_hot(x, num_classes, axis=axis, dtype=dtype or jnp.float32)


def _pad(x: Array, pad_width: Any, mode: str = "constant", **more: Any) -> Array:
    ends = jax.tree.leaves(pad_width)
    if mode != "constant" and max(ends, default=0) > max(x.shape, default=0):
        raise ValueError(
            f"an array of shape {x.shape} is padded by {pad_width}, more than its size"
        )
    return jnp.pad(x, pad_width, mode=mode, **more)


def _divide_no_nan(a: Any, b: Any) -> Array:
    zero = jnp.asarray(b) == 0
    return jnp.where(zero, 0, jnp.asarray(a) / jnp.where(zero, 1, b))


def _top_k(x: Array, k: int, sorted: bool = True) -> tuple[Array, Array]:
    values, indices = jax.lax.top_k(x, k)
    return values, indices


def _take(x: Array, indices: Any, axis: int | None = None) -> Array:
    return jnp.take(x, jnp.asarray(indices), axis=axis)


def _shape_of_ints(value: Any) -> Any:
    return either(_INT, several(_INT))(value)


def _pad_width(value: Any) -> Any:
    count = whole(0)
    return either(count, several(count), several(several(count, 2)))(value)


_ELEMENTWISE = {
    "Absolute": jnp.abs,
    "Arctan": jnp.arctan,
    "Ceil": jnp.ceil,
    "Copy": jnp.asarray,
    "Cos": jnp.cos,
    "Cosh": jnp.cosh,
    "Erf": jax.scipy.special.erf,
    "Exp": jnp.exp,
    "Expm1": jnp.expm1,
    "Floor": jnp.floor,
    "HardSigmoid": nn.hard_sigmoid,
    "HardSilu": nn.hard_silu,
    "HardTanh": nn.hard_tanh,
    "Isfinite": jnp.isfinite,
    "Isnan": jnp.isnan,
    "Log": jnp.log,
    "Log10": jnp.log10,
    "Log1p": jnp.log1p,
    "Log2": jnp.log2,
    "LogSigmoid": nn.log_sigmoid,
    "LogicalNot": jnp.logical_not,
    "Negative": jnp.negative,
    "Reciprocal": jnp.reciprocal,
    "Relu": nn.relu,
    "Relu6": nn.relu6,
    "Rsqrt": jax.lax.rsqrt,
    "Selu": nn.selu,
    "Sigmoid": nn.sigmoid,
    "Sign": jnp.sign,
    "Silu": nn.silu,
    "Sin": jnp.sin,
    "Sinh": jnp.sinh,
    "Softplus": nn.softplus,
    "Softsign": nn.softsign,
    "SparsePlus": nn.sparse_plus,
    "SparseSigmoid": nn.sparse_sigmoid,
    "Sqrt": jnp.sqrt,
    "Square": jnp.square,
    "StopGradient": jax.lax.stop_gradient,
    "Tan": jnp.tan,
    "Tanh": jnp.tanh,
    "TanhShrink": nn.tanh_shrink,
    "Ravel": jnp.ravel,
}
_PAIRS = {
    "Add": jnp.add,
    "Arctan2": jnp.arctan2,
    "Divide": jnp.divide,
    "DivideNoNan": _divide_no_nan,
    "Equal": jnp.equal,
    "FloorDivide": jnp.floor_divide,
    "Greater": jnp.greater,
    "GreaterEqual": jnp.greater_equal,
    "Less": jnp.less,
    "LessEqual": jnp.less_equal,
    "LogicalAnd": jnp.logical_and,
    "LogicalOr": jnp.logical_or,
    "LogicalXor": jnp.logical_xor,
    "Maximum": jnp.maximum,
    "Minimum": jnp.minimum,
    "Mod": jnp.mod,
    "Multiply": jnp.multiply,
    "NotEqual": jnp.not_equal,
    "Power": jnp.power,
    "Subtract": jnp.subtract,
    "TrueDivide": jnp.true_divide,
}
_LAST = Option(_INT, -1)
_FIRST = Option(_INT, 0)
_MAYBE = Option(AXES, None)
DTYPE = Option(optional(dtype), None)

OPERATIONS: dict[str, Entry] = {
    **{name: unary(function) for name, function in _ELEMENTWISE.items()},
    **{name: binary(function) for name, function in _PAIRS.items()},
    "All": reduction(jnp.all),
    "Any": reduction(jnp.any),
    "Amax": reduction(jnp.max),
    "Amin": reduction(jnp.min),
    "Argmax": by_options(
        jnp.argmax, axis=Option(ONE_AXIS, None), keepdims=Option(flag, False)
    ),
    "Argmin": by_options(
        jnp.argmin, axis=Option(ONE_AXIS, None), keepdims=Option(flag, False)
    ),
    "Max": reduction(jnp.max, initial=Option(choice(None), None)),
    "Mean": reduction(jnp.mean),
    "Min": reduction(jnp.min, initial=Option(choice(None), None)),
    "Prod": reduction(jnp.prod, dtype=DTYPE),
    "Std": reduction(jnp.std),
    "Sum": reduction(jnp.sum),
    "Var": reduction(jnp.var),
    "Logsumexp": reduction(jax.nn.logsumexp),
    "BroadcastTo": by_options(jnp.broadcast_to, shape=Option(_shape_of_ints)),
    "Cast": by_options(lambda x, dtype: jnp.asarray(x, dtype), dtype=Option(dtype)),
    "Celu": by_options(nn.celu, alpha=Option(number(), 1.0)),
    "Clip": by_options(_clip, x_min=Option(number()), x_max=Option(number())),
    "Concatenate": by_options(jnp.concatenate, axis=_FIRST),
    "Cumprod": by_options(jnp.cumprod, axis=Option(ONE_AXIS, None), dtype=DTYPE),
    "Cumsum": by_options(jnp.cumsum, axis=Option(ONE_AXIS, None), dtype=DTYPE),
    "Dot": Entry(lambda run, x1, x2: jnp.dot(x1, x2)),
    "Einsum": Entry(_einsum, {"subscripts": Option(text)}),
    "Elu": by_options(nn.elu, alpha=Option(number(), 1.0)),
    "ExpandDims": by_options(jnp.expand_dims, axis=Option(AXES)),
    "Flip": by_options(jnp.flip, axis=_MAYBE),
    "Gelu": by_options(nn.gelu, approximate=Option(flag, True)),
    "GetItem": Entry(_get_item, kwargs=("key",)),
    "Glu": by_options(nn.glu, axis=_LAST),
    "HardShrink": by_options(nn.hard_shrink, threshold=Option(number(), 0.5)),
    "LeakyRelu": by_options(nn.leaky_relu, negative_slope=Option(number(), 0.2)),
    "LogSoftmax": by_options(nn.log_softmax, axis=Option(AXES, -1)),
    "Matmul": Entry(lambda run, x1, x2: jnp.matmul(x1, x2)),
    "Moveaxis": by_options(jnp.moveaxis, source=Option(AXES), destination=Option(AXES)),
    "Norm": reduction(
        jnp.linalg.norm, ord=Option(either(choice(None), number(), text), None)
    ),
    "Normalize": by_options(
        _normalize,
        axis=_LAST,
        order=Option(whole(), 2),
        epsilon=Option(optional(number(0)), None),
    ),
    "OneHot": by_options(
        _one_hot,
        num_classes=Option(whole()),
        axis=_LAST,
        dtype=DTYPE,
        sparse=Option(choice(False), False),
    ),
    "OnesLike": by_options(jnp.ones_like, dtype=DTYPE),
    "Pad": by_options(
        _pad,
        pad_width=Option(_pad_width),
        mode=Option(choice("constant", "reflect", "symmetric"), "constant"),
    ),
    "Repeat": by_options(jnp.repeat, repeats=Option(whole(0)), axis=_MAYBE),
    "Reshape": by_options(_reshape, newshape=Option(_shape_of_ints)),
    "Roll": by_options(jnp.roll, shift=Option(_shape_of_ints), axis=_MAYBE),
    "Round": by_options(jnp.round, decimals=_FIRST),
    "SoftShrink": by_options(nn.soft_shrink, threshold=Option(number(), 0.5)),
    "Softmax": by_options(nn.softmax, axis=Option(AXES, -1)),
    "Split": by_options(
        _split, indices_or_sections=Option(_shape_of_ints), axis=_FIRST
    ),
    "Squeeze": by_options(jnp.squeeze, axis=_MAYBE),
    "Stack": by_options(jnp.stack, axis=_FIRST),
    "Swapaxes": by_options(jnp.swapaxes, axis1=Option(_INT), axis2=Option(_INT)),
    "Take": by_options(_take, axis=Option(ONE_AXIS, None)),
    "Threshold": by_options(
        nn.threshold, threshold=Option(number()), default_value=Option(number())
    ),
    "Tile": by_options(
        lambda x, repeats: jnp.tile(x, repeats), repeats=Option(_shape_of_ints)
    ),
    "TopK": by_options(_top_k, k=Option(whole()), sorted=Option(choice(True), True)),
    "Transpose": by_options(jnp.transpose, axes=_MAYBE),
    "Tril": by_options(jnp.tril, k=_FIRST),
    "Triu": by_options(jnp.triu, k=_FIRST),
    "Unstack": by_options(_unstack, axis=_FIRST, num=Option(optional(whole(0)), None)),
    "Where": Entry(_where, kwargs=("x1", "x2", "condition")),
    "ZerosLike": by_options(jnp.zeros_like, dtype=DTYPE),
}
LAYERS = {f"ops.{name}": entry for name, entry in OPERATIONS.items()}

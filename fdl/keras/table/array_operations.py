"""Functions of `keras.ops` on arrays as in NumPy, beyond those of `operations`."""

from typing import Any

import jax
import jax.numpy as jnp

from fdl.arrays import Array
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.operations import (
    AXES,
    DTYPE,
    ONE_AXIS,
    aligned,
    binary,
    by_options,
    dtype,
    reduction,
    unary,
)
from fdl.keras.table.options import (
    MOST_REPEATED,
    Option,
    anything,
    choice,
    either,
    flag,
    number,
    optional,
    several,
    whole,
)

_INT = whole(-(1 << 31))


def _average(x: Array, axis: Any = None, weights: Any = None) -> Array:
    if weights is None:
        return jnp.mean(x, axis=axis)
    if weights.ndim == 1 and isinstance(axis, int):
        shape = [1] * x.ndim
        shape[axis] = -1
        weights = weights.reshape(shape)
    weights = jnp.broadcast_to(weights, x.shape)
    return jnp.sum(x * weights, axis=axis) / jnp.sum(weights, axis=axis)


def _count_nonzero(x: Array, axis: Any = None) -> Array:
    return jnp.count_nonzero(x, axis=axis).astype(jnp.int32)


def _sections(function: Any) -> Any:
    def split(x: Array, indices_or_sections: Any) -> tuple[Array, ...]:
        return tuple(function(x, indices_or_sections))

    return by_options(split, indices_or_sections=_SECTIONS)


def _array_split(x: Array, indices_or_sections: Any, axis: int = 0) -> tuple:
    return tuple(jnp.array_split(x, indices_or_sections, axis))


def _select(run: Run, conditions: Any, choices: Any, default: Any = 0) -> Array:
    found = default
    for condition, value in reversed(list(zip(conditions, choices, strict=True))):
        found = jnp.where(*aligned(condition, value, found))
    return jnp.asarray(found)


def _meshgrid(run: Run, *xs: Array) -> tuple[Array, ...]:
    return tuple(jnp.meshgrid(*xs, indexing=run.options["indexing"]))


def _slice(run: Run, x: Array, start_indices: Any) -> Array:
    shape = run.options["shape"]
    start = list(start_indices)
    sizes = [
        x.shape[axis] - start[axis] if size == -1 else size
        for axis, size in enumerate(shape)
    ]
    return jax.lax.dynamic_slice(x, start, sizes)


def _slice_update(run: Run, x: Array, start_indices: Any, updates: Any) -> Array:
    return jax.lax.dynamic_update_slice(x, updates, list(start_indices))


def _scatter(run: Run, indices: Array, values: Array) -> Array:
    values = jnp.asarray(values)
    zeros = jnp.zeros(run.options["shape"], values.dtype)
    return zeros.at[tuple(jnp.moveaxis(jnp.asarray(indices), -1, 0))].add(values)


def _scatter_update(run: Run, x: Array, indices: Array, updates: Array) -> Array:
    place = jnp.asarray(x).at[tuple(jnp.moveaxis(jnp.asarray(indices), -1, 0))]
    how = run.options["reduction"] or "set"
    return getattr(place, {"mul": "multiply"}.get(how, how))(jnp.asarray(updates))


def _saturate_cast(x: Array, dtype: Any) -> Array:
    kind = jnp.finfo if jnp.issubdtype(dtype, jnp.floating) else jnp.iinfo
    limits = kind(dtype) if dtype != "bool" else None
    low, high = (0, 1) if limits is None else (limits.min, limits.max)
    return jnp.clip(x, low, high).astype(dtype)


def _cdist(x: Array, y: Array) -> Array:
    far = x[..., :, None, :] - y[..., None, :, :]
    return jnp.sqrt(jnp.sum(far * far, axis=-1))


def _isin(x1: Array, x2: Any, invert: bool = False) -> Array:
    return jnp.isin(x1, jnp.asarray(x2), invert=invert)


def _trapezoid(y: Array, x: Any = None, dx: float = 1.0, axis: int = -1) -> Array:
    return jnp.trapezoid(y, x, dx=dx, axis=axis)


def _cholesky(x: Array, upper: bool = False) -> Array:
    y = jnp.linalg.cholesky(x)
    return jnp.swapaxes(y, -1, -2) if upper else y


def _solve_triangular(a: Array, b: Array, lower: bool = False) -> Array:
    one = lambda a, b: jax.scipy.linalg.solve_triangular(a, b, lower=lower)
    for _ in range(a.ndim - 2):
        one = jax.vmap(one)
    return one(a, b)


_ELEMENTWISE = {
    "Abs": jnp.abs,
    "Angle": jnp.angle,
    "Arccos": jnp.arccos,
    "Arccosh": jnp.arccosh,
    "Arcsin": jnp.arcsin,
    "Arcsinh": jnp.arcsinh,
    "Arctanh": jnp.arctanh,
    "BitwiseInvert": jnp.bitwise_invert,
    "BitwiseNot": jnp.bitwise_not,
    "Cbrt": jnp.cbrt,
    "Deg2rad": jnp.deg2rad,
    "Det": jnp.linalg.det,
    "Erfc": jax.scipy.special.erfc,
    "Erfinv": jax.scipy.special.erfinv,
    "Exp2": jnp.exp2,
    "Fabs": jnp.fabs,
    "Fliplr": jnp.fliplr,
    "Flipud": jnp.flipud,
    "Inv": jnp.linalg.inv,
    "Isinf": jnp.isinf,
    "Isneginf": jnp.isneginf,
    "Isposinf": jnp.isposinf,
    "Logdet": lambda x: jnp.linalg.slogdet(x)[1],
    "Rad2deg": jnp.rad2deg,
    "Signbit": jnp.signbit,
    "Sinc": jnp.sinc,
    "Slogdet": lambda x: tuple(jnp.linalg.slogdet(x)),
    "Trunc": jnp.trunc,
}
_PAIRS = {
    "BitwiseAnd": jnp.bitwise_and,
    "BitwiseLeftShift": jnp.left_shift,
    "BitwiseOr": jnp.bitwise_or,
    "BitwiseRightShift": jnp.right_shift,
    "BitwiseXor": jnp.bitwise_xor,
    "Fmax": jnp.fmax,
    "Fmin": jnp.fmin,
    "Fmod": jnp.fmod,
    "Gcd": jnp.gcd,
    "Heaviside": jnp.heaviside,
    "Hypot": jnp.hypot,
    "Lcm": jnp.lcm,
    "LeftShift": jnp.left_shift,
    "Logaddexp": jnp.logaddexp,
    "Logaddexp2": jnp.logaddexp2,
    "RightShift": jnp.right_shift,
}
_PRODUCTS = {
    "CDist": _cdist,
    "Inner": jnp.inner,
    "Kron": jnp.kron,
    "Outer": jnp.outer,
    "Solve": jnp.linalg.solve,
    "Vdot": jnp.vdot,
}
_REDUCTIONS = {
    "Median": jnp.median,
    "Nanmax": jnp.nanmax,
    "Nanmean": jnp.nanmean,
    "Nanmedian": jnp.nanmedian,
    "Nanmin": jnp.nanmin,
    "Nanprod": jnp.nanprod,
    "Nanstd": jnp.nanstd,
    "Nansum": jnp.nansum,
    "Nanvar": jnp.nanvar,
    "Ptp": jnp.ptp,
}
_QUANTILES = {
    "Nanpercentile": jnp.nanpercentile,
    "Nanquantile": jnp.nanquantile,
    "Percentile": jnp.percentile,
    "Quantile": jnp.quantile,
}
_METHOD = Option(choice("linear", "lower", "higher", "midpoint", "nearest"), "linear")
_LAST = Option(_INT, -1)
_OFFSET = Option(_INT, 0)
_TWO_AXES = {"axis1": Option(_INT, 0), "axis2": Option(_INT, 1)}
_SECTIONS = Option(either(whole(1, MOST_REPEATED), several(_INT)))
_SHAPE = Option(several(_INT))

OPERATIONS: dict[str, Entry] = {
    **{name: unary(function) for name, function in _ELEMENTWISE.items()},
    **{name: binary(function) for name, function in _PAIRS.items()},
    **{
        name: Entry(lambda run, a, b, function=function: function(a, b))
        for name, function in _PRODUCTS.items()
    },
    **{name: reduction(function) for name, function in _REDUCTIONS.items()},
    **{
        name: reduction(function, "q", method=_METHOD)
        for name, function in _QUANTILES.items()
    },
    "Append": by_options(jnp.append, axis=Option(ONE_AXIS, None)),
    "Argsort": by_options(jnp.argsort, axis=_LAST),
    "ArraySplit": by_options(
        _array_split, indices_or_sections=_SECTIONS, axis=Option(_INT, 0)
    ),
    "Average": by_options(_average, axis=Option(AXES, None)),
    "Cholesky": by_options(_cholesky, upper=Option(flag, False)),
    "ConvertToTensor": by_options(
        lambda x, dtype=None: jnp.asarray(x, dtype),
        dtype=DTYPE,
        sparse=Option(choice(None, False), None),
        ragged=Option(choice(None, False), None),
    ),
    "CountNonzero": by_options(_count_nonzero, axis=Option(AXES, None)),
    "Cross": by_options(
        jnp.cross,
        axisa=_LAST,
        axisb=_LAST,
        axisc=_LAST,
        axis=Option(ONE_AXIS, None),
    ),
    "Diag": by_options(jnp.diag, k=_OFFSET),
    "Diagflat": by_options(jnp.diagflat, k=_OFFSET),
    "Diagonal": by_options(jnp.diagonal, offset=_OFFSET, **_TWO_AXES),
    "Diff": by_options(jnp.diff, n=Option(whole(0, 64), 1), axis=_LAST),
    "Digitize": Entry(lambda run, x, bins: jnp.digitize(x, jnp.asarray(bins))),
    "Dsplit": _sections(jnp.dsplit),
    "Dstack": by_options(jnp.dstack),
    "FullLike": by_options(jnp.full_like, "fill_value", dtype=DTYPE),
    "Hsplit": _sections(jnp.hsplit),
    "Hstack": by_options(jnp.hstack),
    "IsIn": by_options(
        _isin, assume_unique=Option(anything, None), invert=Option(flag, False)
    ),
    "Isclose": by_options(jnp.isclose, "rtol", "atol", equal_nan=Option(flag, False)),
    "Meshgrid": Entry(_meshgrid, {"indexing": Option(choice("xy", "ij"), "xy")}),
    "NanToNum": by_options(
        jnp.nan_to_num,
        nan=Option(number(), 0.0),
        posinf=Option(optional(number()), None),
        neginf=Option(optional(number()), None),
    ),
    "Nanargmax": by_options(
        jnp.nanargmax, axis=Option(ONE_AXIS, None), keepdims=Option(flag, False)
    ),
    "Nanargmin": by_options(
        jnp.nanargmin, axis=Option(ONE_AXIS, None), keepdims=Option(flag, False)
    ),
    "Nancumprod": by_options(jnp.nancumprod, axis=Option(ONE_AXIS, None), dtype=DTYPE),
    "Nancumsum": by_options(jnp.nancumsum, axis=Option(ONE_AXIS, None), dtype=DTYPE),
    "Pinv": by_options(jnp.linalg.pinv, rcond=Option(optional(number(0)), None)),
    "Rot90": by_options(
        jnp.rot90, k=Option(_INT, 1), axes=Option(several(_INT, 2), (0, 1))
    ),
    "SaturateCast": by_options(_saturate_cast, dtype=Option(dtype)),
    "Scatter": Entry(_scatter, {"shape": _SHAPE}),
    "ScatterUpdate": Entry(
        _scatter_update,
        {"reduction": Option(choice(None, "add", "max", "min", "mul"), None)},
    ),
    "SearchSorted": by_options(
        jnp.searchsorted, side=Option(choice("left", "right"), "left")
    ),
    "Select": Entry(_select, kwargs=("default",)),
    "Slice": Entry(_slice, {"shape": _SHAPE}),
    "SliceUpdate": Entry(_slice_update),
    "SolveTriangular": by_options(_solve_triangular, lower=Option(flag, False)),
    "Sort": by_options(jnp.sort, axis=_LAST),
    "TakeAlongAxis": by_options(jnp.take_along_axis, axis=Option(ONE_AXIS, None)),
    "Tensordot": by_options(
        jnp.tensordot, axes=Option(either(whole(0), several(several(_INT), 2)), 2)
    ),
    "Trace": by_options(jnp.trace, offset=_OFFSET, **_TWO_AXES),
    "Trapezoid": by_options(
        _trapezoid,
        x=Option(anything, None),
        dx=Option(number(), 1.0),
        axis=_LAST,
    ),
    "Vander": by_options(
        jnp.vander,
        N=Option(optional(whole(1, MOST_REPEATED)), None),
        increasing=Option(flag, False),
    ),
    "Vsplit": _sections(jnp.vsplit),
    "Vstack": by_options(jnp.vstack),
}
LAYERS = {f"ops.{name}": entry for name, entry in OPERATIONS.items()}

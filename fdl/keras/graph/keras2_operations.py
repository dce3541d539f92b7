"""Translate TensorFlow functions between Keras 2 layers to functions of `keras.ops`.

Each function is translated with its arguments. Arguments that are left over are an
error that names them.
"""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass
class Operation:
    """A call during its translation.

    Attributes:
        args: Positional arguments of the function of `keras.ops`.
        kwargs: Keyword arguments of the TensorFlow function that are not translated
            yet; those that remain are refused.
        options: Options of the function of `keras.ops`.
    """

    args: list[Any]
    kwargs: dict[str, Any]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    def take(self, name: str, default: Any = None) -> Any:
        """Remove a keyword argument, and return it."""
        return self.kwargs.pop(name, default)


Translate = Callable[[Operation], None]


def _keep(call: Operation) -> None:
    """Translate a function of a single array."""


def _second(name: str) -> Translate:
    """Translate a function of two arrays, the second of which is passed by name."""

    def translate(call: Operation) -> None:
        call.args.append(call.kwargs.pop(name))

    return translate


def _options(*drop: str, **names: Any) -> Translate:
    """Translate options by name.

    Args:
        *drop: Arguments that have no effect.
        **names: For each option of `keras.ops`, its name in TensorFlow, or the name and
            the default.
    """

    def translate(call: Operation) -> None:
        for name in drop:
            call.take(name)
        for option, name in names.items():
            theirs, default = name if isinstance(name, tuple) else (name, None)
            value = call.take(theirs, default)
            if value is not None:
                call.options[option] = value

    return translate


def _split(call: Operation) -> None:
    parts = call.take("num_or_size_splits")
    if isinstance(parts, list):  # sizes, but Keras takes the indices of the cuts
        parts = list(itertools.accumulate(parts[:-1]))
    call.options = {"indices_or_sections": parts, "axis": call.take("axis", 0)}


def _where(call: Operation) -> None:
    call.args += [call.kwargs.pop("x"), call.kwargs.pop("y")]


def _gather(call: Operation) -> None:
    call.args.append(call.kwargs.pop("indices"))
    call.take("validate_indices")
    if call.take("batch_dims"):
        raise ValueError("with batch_dims")
    call.options["axis"] = call.take("axis", 0)


def _pad(call: Operation) -> None:
    if call.take("constant_values"):
        raise ValueError("with constant_values")
    call.options["pad_width"] = call.take("paddings")
    call.options["mode"] = str(call.take("mode", "CONSTANT")).lower()


def _matmul(call: Operation) -> None:
    call.args.append(call.kwargs.pop("b"))
    a = "...ji" if call.take("transpose_a") else "...ij"
    b = "...kj" if call.take("transpose_b") else "...jk"
    call.options["subscripts"] = f"{a},{b}->...ik"


def _get_item(call: Operation) -> None:
    spec = call.take("slice_spec")
    spec = spec if isinstance(spec, list) else [spec]
    call.args.append({"class_name": "__tuple__", "config": {"value": _keys(spec)}})


def _keys(spec: list[Any]) -> list[Any]:
    found = []
    for each in spec:
        if isinstance(each, dict) and "start" in each:
            each = {"class_name": "__slice__", "config": each}
        elif isinstance(each, dict) and each.get("class_name") != "__ellipsis__":
            raise ValueError("with an index that is an array")
        found.append(each)
    return found


_UNARY = {
    **{
        f"math.{name}": kind
        for name, kind in {
            "abs": "Absolute",
            "ceil": "Ceil",
            "cos": "Cos",
            "cosh": "Cosh",
            "erf": "Erf",
            "exp": "Exp",
            "expm1": "Expm1",
            "floor": "Floor",
            "is_finite": "Isfinite",
            "is_nan": "Isnan",
            "log": "Log",
            "log1p": "Log1p",
            "log_sigmoid": "LogSigmoid",
            "logical_not": "LogicalNot",
            "negative": "Negative",
            "reciprocal": "Reciprocal",
            "rsqrt": "Rsqrt",
            "sigmoid": "Sigmoid",
            "sign": "Sign",
            "sin": "Sin",
            "sinh": "Sinh",
            "softplus": "Softplus",
            "sqrt": "Sqrt",
            "square": "Square",
            "tan": "Tan",
            "tanh": "Tanh",
        }.items()
    },
    "identity": "Copy",
    "stop_gradient": "StopGradient",
    "zeros_like": "ZerosLike",
    "ones_like": "OnesLike",
    "nn.relu": "Relu",
    "nn.relu6": "Relu6",
    "nn.selu": "Selu",
    "nn.elu": "Elu",
    "nn.softplus": "Softplus",
    "nn.softsign": "Softsign",
    "nn.sigmoid": "Sigmoid",
    "nn.tanh": "Tanh",
}
_BINARY = {
    "__operators__.add": "Add",
    "__operators__.eq": "Equal",
    "__operators__.ne": "NotEqual",
    "math.add": "Add",
    "math.subtract": "Subtract",
    "math.multiply": "Multiply",
    "math.divide": "Divide",
    "math.truediv": "TrueDivide",
    "math.divide_no_nan": "DivideNoNan",
    "math.floordiv": "FloorDivide",
    "compat.v1.floor_div": "FloorDivide",
    "math.floormod": "Mod",
    "math.pow": "Power",
    "math.maximum": "Maximum",
    "math.minimum": "Minimum",
    "math.greater": "Greater",
    "math.greater_equal": "GreaterEqual",
    "math.less": "Less",
    "math.less_equal": "LessEqual",
    "math.equal": "Equal",
    "math.not_equal": "NotEqual",
    "math.logical_and": "LogicalAnd",
    "math.logical_or": "LogicalOr",
    "math.logical_xor": "LogicalXor",
}
_REDUCTIONS = {
    "math.reduce_mean": "Mean",
    "math.reduce_sum": "Sum",
    "math.reduce_max": "Max",
    "math.reduce_min": "Min",
    "math.reduce_prod": "Prod",
    "math.reduce_std": "Std",
    "math.reduce_variance": "Var",
    "math.reduce_all": "All",
    "math.reduce_any": "Any",
    "math.reduce_logsumexp": "Logsumexp",
}

OPERATIONS: dict[str, tuple[str, Translate]] = {
    **{name: (kind, _keep) for name, kind in _UNARY.items()},
    **{name: (kind, _second("y")) for name, kind in _BINARY.items()},
    **{
        name: (kind, _options(axis="axis", keepdims="keepdims"))
        for name, kind in _REDUCTIONS.items()
    },
    "math.argmax": ("Argmax", _options("output_type", axis=("axis", 0))),
    "math.argmin": ("Argmin", _options("output_type", axis=("axis", 0))),
    "math.l2_normalize": (
        "Normalize",
        _options(axis="axis", epsilon=("epsilon", 1e-12)),
    ),
    "nn.l2_normalize": (
        "Normalize",
        _options(axis="axis", epsilon=("epsilon", 1e-12)),
    ),
    "nn.gelu": ("Gelu", _options(approximate=("approximate", False))),
    "nn.silu": ("Silu", _keep),
    "nn.leaky_relu": ("LeakyRelu", _options(negative_slope=("alpha", 0.2))),
    "nn.softmax": ("Softmax", _options(axis=("axis", -1))),
    "nn.log_softmax": ("LogSoftmax", _options(axis=("axis", -1))),
    "reshape": ("Reshape", _options(newshape="shape")),
    "transpose": ("Transpose", _options(axes="perm")),
    "compat.v1.transpose": ("Transpose", _options(axes="perm")),
    "expand_dims": ("ExpandDims", _options(axis="axis")),
    "squeeze": ("Squeeze", _options(axis="axis")),
    "compat.v1.squeeze": ("Squeeze", _options(axis="axis")),
    "concat": ("Concatenate", _options(axis="axis")),
    "stack": ("Stack", _options(axis=("axis", 0))),
    "unstack": ("Unstack", _options("num", axis=("axis", 0))),
    "split": ("Split", _split),
    "cast": ("Cast", _options(dtype="dtype")),
    "clip_by_value": ("Clip", _options(x_min="clip_value_min", x_max="clip_value_max")),
    "tile": ("Tile", _options(repeats="multiples")),
    "one_hot": ("OneHot", _options(num_classes="depth", axis=("axis", -1))),
    "where": ("Where", _where),
    "compat.v1.where": ("Where", _where),
    "gather": ("Take", _gather),
    "compat.v1.gather": ("Take", _gather),
    "pad": ("Pad", _pad),
    "compat.v1.pad": ("Pad", _pad),
    "linalg.matmul": ("Einsum", _matmul),
    "__operators__.getitem": ("GetItem", _get_item),
}

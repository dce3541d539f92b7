"""Translate functions of `fdl.nn` and of JAX to Keras layers."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from fdl.keras.tracing.modules import Described, Options
from fdl.nn import activations


def _pooled(kind: str) -> Callable[..., Described]:
    def describe(
        x: Any, window: Any, strides: Any, padding: str, **_: Any
    ) -> Described:
        options = {"pool_size": window, "strides": strides, "padding": padding}
        return Described(kind, options, (x,))

    return describe


def _padded(x: Any, pads: Any) -> Described:
    return Described("ZeroPadding2D", {"padding": pads}, (x,))


def _upsampled(x: Any, factor: Any, method: str) -> Described:
    return Described("UpSampling2D", {"size": factor, "interpolation": method}, (x,))


def _leaky_relu(x: Any, negative_slope: float) -> Described:
    return Described("LeakyReLU", {"negative_slope": negative_slope}, (x,))


def _gelu(x: Any, approximate: bool) -> Described:
    if approximate:
        return Described("ops.Gelu", {"approximate": True}, (x,))
    return activation("gelu", x)


def _shrunk(kind: str) -> Callable[..., Described]:
    return lambda x, threshold: Described(kind, {"threshold": threshold}, (x,))


def activation(name: str, x: Any) -> Described:
    """Return the layer that applies an activation."""
    if name == "relu":
        return Described("ReLU", {}, (x,))
    return Described("Activation", {"activation": name}, (x,))


FUNCTIONS: Mapping[str, Callable[..., Described]] = {
    "max_pool": _pooled("MaxPooling2D"),
    "avg_pool": _pooled("AveragePooling2D"),
    "global_max_pool": lambda x: Described("GlobalMaxPooling2D", {}, (x,)),
    "global_avg_pool": lambda x: Described("GlobalAveragePooling2D", {}, (x,)),
    "zero_pad": _padded,
    "upsample": _upsampled,
    "leaky_relu": _leaky_relu,
    "gelu": _gelu,
    "soft_shrink": _shrunk("ops.SoftShrink"),
    "hard_shrink": _shrunk("ops.HardShrink"),
}


def of_function(function: Callable, args: tuple, kwargs: Options) -> Described | None:
    """Return the Keras layer for a call of a function that is marked as a layer.

    None if Keras has no such layer.
    """
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    x = bound.arguments["x"]
    name = function.__name__
    describe = FUNCTIONS.get(name)
    if describe is None:
        assert name in activations.__all__
        return activation(name, x)
    is_image = name in ("leaky_relu", "gelu") or name.endswith("shrink") or x.ndim == 4
    return describe(**bound.arguments) if is_image else None


# Keras' activations, by the names of JAX's functions in a jaxpr.
ACTIVATIONS = {
    "celu": "celu",
    "elu": "elu",
    "relu": "relu",
    "relu6": "relu6",
    "silu": "silu",
    "softplus": "softplus",
    "soft_sign": "softsign",
    "log_sigmoid": "log_sigmoid",
    "hard_sigmoid": "hard_sigmoid",
    "hard_silu": "hard_silu",
    "hard_tanh": "hard_tanh",
    "mish": "mish",
    "sparse_plus": "sparse_plus",
}

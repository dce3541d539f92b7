"""Translate Linen modules to Keras layers."""

import string
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as linen
from flax.core import FrozenDict

from fdl import nn
from fdl.keras.graph.model import KerasModel
from fdl.weights import WeightsError

Options = dict[str, Any]


class Described(NamedTuple):
    """A call of a module or function, as a call of a Keras layer.

    Attributes:
        kind: Class of the layer.
        options: Options of the layer; missing ones have Keras' defaults.
        args: Positional arguments: arrays, which may be nested.
        kwargs: Keyword arguments; those that are None are left out.
    """

    kind: str
    options: Options
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any] = FrozenDict()


def _dense(m: linen.Dense, x: Any) -> Described:
    options = {"units": m.features, "use_bias": m.use_bias}
    return Described("Dense", options, (x,))


def _conv(m: nn.Conv2D, x: Any) -> Described:
    options = {"filters": m.features, "groups": m.groups}
    return Described("Conv2D", options | _windows(m), (x,))


def _conv1d(m: nn.Conv1D, x: Any) -> Described:
    options = {
        "filters": m.features,
        "kernel_size": m.kernel_size,
        "strides": m.stride,
        "padding": m.padding,
        "dilation_rate": m.dilation,
        "groups": m.groups,
        "use_bias": m.use_bias,
    }
    return Described("Conv1D", options, (x,))


def _conv_transpose(m: nn.Conv2DTranspose, x: Any) -> Described:
    options = {
        "filters": m.features,
        "kernel_size": m.kernel_size,
        "strides": m.strides,
        "padding": m.padding,
        "use_bias": m.use_bias,
    }
    return Described("Conv2DTranspose", options, (x,))


def _depthwise(m: nn.DepthwiseConv2D, x: Any) -> Described:
    options = {"depth_multiplier": m.depth_multiplier} | _windows(m)
    return Described("DepthwiseConv2D", options, (x,))


def _separable(m: nn.SeparableConv2D, x: Any) -> Described:
    options = {"filters": m.features, "depth_multiplier": m.depth_multiplier}
    return Described("SeparableConv2D", options | _windows(m), (x,))


def _windows(m: Any) -> Options:
    return {
        "kernel_size": m.kernel_size,
        "strides": m.strides,
        "padding": m.padding,
        "dilation_rate": m.dilation,
        "use_bias": m.use_bias,
    }


def _linen_conv(m: linen.Conv, x: Any) -> Described:
    axes = x.ndim - 2
    size = (m.kernel_size,) if isinstance(m.kernel_size, int) else m.kernel_size
    if not 1 <= axes <= 3 or len(size) != axes or not isinstance(m.padding, str):
        raise _different(m, f"kernel_size={m.kernel_size} and padding={m.padding}")
    if m.input_dilation not in (None, 1) or m.mask is not None:
        raise _different(m, "an input_dilation or a mask")
    options = {
        "filters": m.features,
        "kernel_size": size,
        "strides": m.strides or 1,
        "padding": m.padding.lower(),
        "dilation_rate": m.kernel_dilation or 1,
        "groups": m.feature_group_count,
        "use_bias": m.use_bias,
    }
    return Described(f"Conv{axes}D", options, (x,))


def _embedding(m: nn.Embedding | linen.Embed, token: Any) -> Described:
    options = {"input_dim": m.num_embeddings, "output_dim": m.features}
    return Described("Embedding", options, (token,))


def _dropout(m: nn.Dropout | linen.Dropout, x: Any) -> Described:
    return Described("Dropout", {"rate": float(m.rate)}, (x,))


def _batch_norm(m: linen.BatchNorm, x: Any) -> Described:
    if not isinstance(m.axis, int):
        raise _different(m, f"axis={m.axis}")
    options = {"momentum": m.momentum, "epsilon": m.epsilon, "axis": m.axis}
    return Described("BatchNormalization", options | _affine(m), (x,))


def _layer_norm(m: linen.LayerNorm, x: Any) -> Described:
    if m.reduction_axes not in (-1, (-1,), x.ndim - 1, (x.ndim - 1,)):
        raise _different(m, f"reduction_axes={m.reduction_axes}")
    options = {"epsilon": m.epsilon, "axis": -1}
    return Described("LayerNormalization", options | _affine(m), (x,))


def _group_norm(m: linen.GroupNorm | nn.GroupNormalization, x: Any) -> Described:
    axes: Any = m.reduction_axes
    if axes is not None and {a % x.ndim for a in axes} != set(range(1, x.ndim)):
        raise _different(m, f"reduction_axes={m.reduction_axes}")
    size: Any = getattr(m, "group_size", 1)  # only Linen's may have larger ones
    groups = m.num_groups or x.shape[-1] // size
    options = {"groups": groups, "epsilon": m.epsilon}
    return Described("GroupNormalization", options | _affine(m), (x,))


def _affine(m: Any) -> Options:
    return {"center": m.use_bias, "scale": m.use_scale}


def _recurrent(
    m: Any, x: Any, initial_state: Any = None, mask: Any = None
) -> Described:
    if m.reverse:
        raise _different(m, "reverse=True outside of Bidirectional")
    states = _states(initial_state)
    kwargs = {"initial_state": states, "mask": mask}
    return Described(type(m).__name__, _cell(m), (x,), kwargs)


def _cell(m: Any) -> Options:
    after = {"reset_after": m.reset_after} if isinstance(m, nn.GRU) else {}
    return {"units": m.features, **after}


def _bidirectional(
    m: nn.Bidirectional, x: Any, initial_state: Any = None, mask: Any = None
) -> Described:
    states = None
    if initial_state is not None:
        ahead, back = initial_state
        states = (*_states(ahead), *_states(back))
    inner = Described(type(m.layer).__name__, _cell(m.layer), ())
    options = {"layer": inner, "merge_mode": m.merge_mode}
    return Described(
        "Bidirectional", options, (x,), {"initial_state": states, "mask": mask}
    )


def _states(state: Any) -> Any:
    if state is None:
        return None
    return tuple(state) if isinstance(state, tuple) else (state,)


def _attention(
    m: nn.MultiHeadAttention,
    query: Any,
    key: Any = None,
    value: Any = None,
    *,
    mask: Any = None,
    causal: bool = False,
) -> Described:
    key = query if key is None else key
    value = key if value is None else value
    options = {
        "num_heads": m.num_heads,
        "key_dim": m.key_size,
        "value_dim": m.value_size,
        "dropout": float(m.dropout_rate),
        "use_bias": m.use_bias,
        "output_shape": m.out_features,
    }
    kwargs = {"attention_mask": mask, "use_causal_mask": causal or None}
    return Described("MultiHeadAttention", options, (query, value, key), kwargs)


def _additive(
    m: nn.AdditiveAttention,
    query: Any,
    key: Any,
    value: Any = None,
    *,
    mask: Any = None,
    causal: bool = False,
) -> Described:
    if mask is not None:
        raise _different(m, "a mask of pairs")
    value = key if value is None else value
    options = {"dropout": float(m.dropout_rate)}
    kwargs = {"use_causal_mask": causal or None}
    return Described("AdditiveAttention", options, ((query, value, key),), kwargs)


def _linen_attention(
    m: linen.MultiHeadDotProductAttention,
    inputs_q: Any,
    inputs_k: Any = None,
    inputs_v: Any = None,
    *,
    mask: Any = None,
) -> Described:
    if m.normalize_qk or m.decode:
        raise _different(m, "normalize_qk=True or decode=True")
    key = inputs_q if inputs_k is None else inputs_k
    value = key if inputs_v is None else inputs_v
    features = m.qkv_features or inputs_q.shape[-1]
    options = {
        "num_heads": m.num_heads,
        "key_dim": features // m.num_heads,
        "dropout": float(m.dropout_rate),
        "use_bias": m.use_bias,
        "output_shape": m.out_features,
    }
    args = (inputs_q, value, key)
    return Described("MultiHeadAttention", options, args, {"attention_mask": mask})


def _dense_general(m: linen.DenseGeneral, x: Any) -> Described:
    axes = (m.axis,) if isinstance(m.axis, int) else tuple(m.axis)
    features = (m.features,) if isinstance(m.features, int) else tuple(m.features)
    count = len(axes)
    if m.batch_dims or tuple(a % x.ndim for a in axes) != tuple(
        range(x.ndim - count, x.ndim)
    ):
        raise _different(m, f"axis={m.axis} and batch_dims={m.batch_dims}")
    kept, gone = string.ascii_lowercase[: x.ndim - count], "uvwxyz"[:count]
    made = string.ascii_uppercase[: len(features)]
    options = {
        "equation": f"{kept}{gone},{gone}{made}->{kept}{made}",
        "output_shape": (*x.shape[1 : x.ndim - count], *features),
        "bias_axes": made if m.use_bias else None,
    }
    return Described("EinsumDense", options, (x,))


def _different(m: Any, what: str) -> WeightsError:
    name = "/".join(m.path)
    return WeightsError(
        f"the layer {name} ({type(m).__name__}) has {what}, which Keras' layer does "
        "not support"
    )


MODULES: Mapping[type, Callable[..., Described]] = {
    linen.Dense: _dense,
    linen.DenseGeneral: _dense_general,
    linen.MultiHeadDotProductAttention: _linen_attention,
    linen.SelfAttention: _linen_attention,
    linen.Conv: _linen_conv,
    linen.Embed: _embedding,
    linen.Dropout: _dropout,
    linen.BatchNorm: _batch_norm,
    linen.LayerNorm: _layer_norm,
    linen.GroupNorm: _group_norm,
    nn.Conv1D: _conv1d,
    nn.Conv2D: _conv,
    nn.Conv2DTranspose: _conv_transpose,
    nn.DepthwiseConv2D: _depthwise,
    nn.SeparableConv2D: _separable,
    nn.Embedding: _embedding,
    nn.Dropout: _dropout,
    nn.BatchNormalization: _batch_norm,
    nn.LayerNormalization: _layer_norm,
    nn.GroupNormalization: _group_norm,
    nn.SimpleRNN: _recurrent,
    nn.LSTM: _recurrent,
    nn.GRU: _recurrent,
    nn.Bidirectional: _bidirectional,
    nn.MultiHeadAttention: _attention,
    nn.AdditiveAttention: _additive,
}

RECURRENT = ("SimpleRNN", "LSTM", "GRU", "Bidirectional")
"""Layers that return their outputs at each step, and then their final states."""


def of_module(
    module: linen.Module, method: str, args: tuple, kwargs: Options
) -> Described | None:
    """Return the Keras layer for a call of a module; None if Keras has none."""
    if isinstance(module, KerasModel) and method == "__call__":
        return _model(module, args, kwargs)
    describe = MODULES.get(type(module))
    if describe is _embedding and method == "attend":
        options = {"input_dim": module.num_embeddings, "output_dim": module.features}
        return Described("ReversibleEmbedding", options, args, {"reverse": True})
    if describe is None or method != "__call__":
        return None
    if getattr(module, "dtype", None) is not None:
        raise _different(module, f"dtype={module.dtype}")
    # Keras sets flags for training itself.
    flags = ("train", "deterministic", "use_running_average", "rng")
    return describe(
        module, *args, **{k: v for k, v in kwargs.items() if k not in flags}
    )


def _model(module: KerasModel, args: tuple, kwargs: Options) -> Described | None:
    """Return a nested Keras model, or None if it cannot be one in Keras."""
    if module.custom_layers or isinstance(module.graph.outputs, dict | FrozenDict):
        return None
    named = {name: x for name, x in kwargs.items() if name != "train"}
    given = named or (args[0] if len(args) == 1 else args)
    return Described(module.graph.kind, {"graph": module.graph}, (given,))

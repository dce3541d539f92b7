"""Functions of `keras.ops` for neural networks and signals."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fdl import nn
from fdl.arrays import Array
from fdl.keras.table.activations import sparsemax
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.operations import AXES, DTYPE, by_options
from fdl.keras.table.options import (
    Option,
    anything,
    choice,
    flag,
    number,
    optional,
    whole,
)
from fdl.keras.table.spectrograms import frames, short_time_fourier

_EPSILON = 1e-7


def _layer_norm(run: Run, x: Array, gamma: Any = None, beta: Any = None) -> Array:
    o = run.options
    axes = o["axis"] if isinstance(o["axis"], tuple) else (o["axis"],)
    axes = tuple(sorted(axis % x.ndim for axis in axes))
    shape = [size if axis in axes else 1 for axis, size in enumerate(x.shape)]
    mean = jnp.mean(x, axes, keepdims=True)
    var = jnp.var(x, axes, keepdims=True)
    y = (x - mean) * jax.lax.rsqrt(var + (o["epsilon"] or _EPSILON))
    if gamma is not None:
        y = y * jnp.asarray(gamma, x.dtype).reshape(shape)
    return y if beta is None else y + jnp.asarray(beta, x.dtype).reshape(shape)


def _rms_norm(run: Run, x: Array, scale: Any = None) -> Array:
    o = run.options
    square = jnp.mean(jnp.square(x), o["axis"], keepdims=True)
    y = x * jax.lax.rsqrt(square + (o["epsilon"] or _EPSILON))
    if scale is None:
        return y
    scale = jnp.asarray(scale, x.dtype)
    return y * scale.reshape((1,) * (x.ndim - scale.ndim) + scale.shape)


def _batch_norm(
    run: Run, x: Array, mean: Any, var: Any, offset: Any = None, scale: Any = None
) -> Array:
    o, shape = run.options, [1] * x.ndim
    shape[o["axis"]] = -1
    spread = lambda w: jnp.asarray(w, x.dtype).reshape(shape)
    y = (x - spread(mean)) * jax.lax.rsqrt(spread(var) + o["epsilon"])
    y = y if scale is None else y * spread(scale)
    return y if offset is None else y + spread(offset)


def _moments(run: Run, x: Array) -> tuple[Array, Array]:
    axes, keep = run.options["axes"], run.options["keepdims"]
    return jnp.mean(x, axes, keepdims=keep), jnp.var(x, axes, keepdims=keep)


def _attention(
    run: Run,
    query: Array,
    key: Array,
    value: Array,
    bias: Any = None,
    mask: Any = None,
    scale: Any = None,
) -> Array:
    shared = query.shape[2] // key.shape[2]  # queries that share keys and values
    key, value = (jnp.repeat(x, shared, axis=2) for x in (key, value))
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    scores = jnp.einsum("bqnd,bknd->bnqk", query, key) * scale
    if bias is not None:
        scores = scores + jnp.broadcast_to(jnp.asarray(bias), scores.shape)
    allowed = jnp.tril(jnp.ones(scores.shape[-2:], bool))
    allowed = allowed if run.options["is_causal"] else jnp.ones_like(allowed)
    allowed = jnp.broadcast_to(allowed, scores.shape)
    if mask is not None:
        allowed &= jnp.broadcast_to(jnp.asarray(mask, bool), scores.shape)
    far = jnp.finfo(scores.dtype).min / 2
    weights = jax.nn.softmax(jnp.where(allowed, scores, far), axis=-1)
    return jnp.einsum("bnqk,bknd->bqnd", weights, value)


def _multi_hot(
    inputs: Array, num_classes: int, axis: int = -1, dtype: Any = None
) -> Array:
    hot = jax.nn.one_hot(inputs, num_classes, axis=axis, dtype=dtype or jnp.float32)
    return jnp.max(hot, axis=1 if inputs.ndim > 1 else 0)


def _in_top_k(run: Run, targets: Array, predictions: Array) -> Array:
    own = jnp.take_along_axis(predictions, targets[:, None], axis=-1)
    above = jnp.sum(predictions > jnp.where(jnp.isnan(own), -jnp.inf, own), axis=-1)
    return above < run.options["k"]


def _complex(x: Any) -> Array:
    return jax.lax.complex(*x)


def _parts(x: Array) -> tuple[Array, Array]:
    return jnp.real(x), jnp.imag(x)


def _stft(run: Run, x: Array) -> tuple[Array, Array]:
    o = run.options
    sizes = (o["sequence_length"], o["fft_length"], o["sequence_stride"])
    return _parts(short_time_fourier(x, o["window"], *sizes, o["center"]))


def _segments(reduce: Callable[..., Array]) -> Entry:
    def run_segments(run: Run, x: Array, segment_ids: Any) -> Array:
        return reduce(x, jnp.asarray(segment_ids), run.options["num_segments"])

    sizes = {"num_segments": Option(whole()), "sorted": Option(anything, None)}
    return Entry(run_segments, sizes)


_FFT = {"fft_length": Option(optional(whole()), None)}

OPERATIONS: dict[str, Entry] = {
    "BatchNorm": Entry(
        _batch_norm,
        {"axis": Option(whole(-8)), "epsilon": Option(number(0), 1e-3)},
        kwargs=("offset", "scale"),
    ),
    "LayerNorm": Entry(
        _layer_norm,
        {
            "axis": Option(AXES, -1),
            "epsilon": Option(optional(number(0)), None),
            "rms_scaling": Option(choice(False), False),
        },
        kwargs=("gamma", "beta"),
    ),
    "RMSNorm": Entry(
        _rms_norm,
        {"axis": Option(AXES, -1), "epsilon": Option(optional(number(0)), None)},
        kwargs=("scale",),
    ),
    "Moments": Entry(
        _moments,
        {
            "axes": Option(AXES),
            "keepdims": Option(flag, False),
            "synchronized": Option(anything, False),
        },
    ),
    "DotProductAttention": Entry(
        _attention,
        {
            "is_causal": Option(flag, False),
            "flash_attention": Option(anything, None),
            "attn_logits_soft_cap": Option(choice(None), None),
        },
        kwargs=("bias", "mask", "scale"),
    ),
    "MultiHot": by_options(
        _multi_hot,
        num_classes=Option(whole()),
        axis=Option(whole(-8), -1),
        dtype=DTYPE,
        sparse=Option(choice(False), False),
    ),
    "Sparsemax": Entry(lambda run, x: sparsemax(x), {"axis": Option(choice(-1), -1)}),
    "Squareplus": by_options(nn.squareplus, b=Option(number(0), 4.0)),
    "FFT": Entry(lambda run, x: _parts(jnp.fft.fft(_complex(x)))),
    "FFT2": Entry(lambda run, x: _parts(jnp.fft.fft2(_complex(x)))),
    "IFFT2": Entry(lambda run, x: _parts(jnp.fft.ifft2(_complex(x)))),
    "RFFT": Entry(
        lambda run, x: _parts(jnp.fft.rfft(x, n=run.options["fft_length"])), _FFT
    ),
    "IRFFT": Entry(
        lambda run, x: jnp.fft.irfft(_complex(x), n=run.options["fft_length"]), _FFT
    ),
    "STFT": Entry(
        _stft,
        {
            "sequence_length": Option(whole()),
            "sequence_stride": Option(whole()),
            "fft_length": Option(whole()),
            "window": Option(choice("hann", "hamming", None), "hann"),
            "center": Option(flag, True),
        },
    ),
    "ExtractSequences": Entry(
        lambda run, x: frames(
            x, run.options["sequence_length"], run.options["sequence_stride"]
        ),
        {"sequence_length": Option(whole()), "sequence_stride": Option(whole())},
    ),
    "InTopK": Entry(_in_top_k, {"k": Option(whole())}),
    "SegmentMax": _segments(jax.ops.segment_max),
    "SegmentMin": _segments(jax.ops.segment_min),
    "SegmentProd": _segments(jax.ops.segment_prod),
    "SegmentSum": _segments(jax.ops.segment_sum),
}
LAYERS = {f"ops.{name}": entry for name, entry in OPERATIONS.items()}

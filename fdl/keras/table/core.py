"""Dense layers, masking and activations."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from fdl import nn, ops
from fdl.arrays import Array
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.options import (
    ACTIVATION,
    ADAPTED,
    BIAS,
    KERNEL,
    Option,
    choice,
    either,
    number,
    optional,
    several,
    text,
    weight,
    whole,
)


def add_bias(run: Run, y: Array, options: str = "bias") -> Array:
    """Add a bias to the last axis, if the layer has one."""
    if not run.options["use_bias"]:
        return y
    bias = run.weight("bias", (y.shape[-1],), options)
    return y + jnp.broadcast_to(bias, y.shape)


def unit_length(x: Array, axis: Any, least: float = 1e-7) -> Array:
    """Divide by the L2 norm over axes, or by `least` if that is larger."""
    square = jnp.sum(jnp.square(x), axis=axis, keepdims=True)
    return x / jnp.broadcast_to(jnp.sqrt(jnp.maximum(square, least**2)), x.shape)


def _dense(run: Run, x: Array) -> Array:
    kernel = run.weight("kernel", (x.shape[-1], run.options["units"]))
    dtype = jnp.promote_types(x.dtype, kernel.dtype)  # inputs may be integers
    y = ops.dense(x.astype(dtype), kernel.astype(dtype))
    return run.activation(add_bias(run, y))


def _einsum_dense(run: Run, x: Array) -> Array:
    o = run.options
    kernel_shape, bias_shape = _einsum_shapes(
        o["equation"], x.shape, o["output_shape"], o["bias_axes"]
    )
    left, _, right = o["equation"].replace(" ", "").partition("->")
    a, _, b = left.partition(",")
    sizes = dict(zip(b, kernel_shape, strict=True))
    fans = [
        math.prod(size for name, size in sizes.items() if (name in right) is out)
        for out in (False, True)
    ]
    kernel = run.weight("kernel", kernel_shape, fans=(fans[0], fans[1]))
    y = jnp.einsum(f"{a},{b}->{right}", x, kernel)
    if bias_shape is not None:
        bias = run.weight("bias", bias_shape)
        y = y + jnp.broadcast_to(bias, y.shape)
    return run.activation(y)


def _einsum_shapes(
    equation: str, shape: tuple, out: tuple, bias_axes: str | None
) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    left, _, result = equation.replace(" ", "").partition("->")
    inputs, _, kernel = left.partition(",")
    known: dict[str, int | None] = {}
    plain_in, plain_out = inputs.replace("...", ""), result.replace("...", "")
    from_end = inputs.startswith("...") or result.startswith("...")
    # The option has the output shape without the batch axis.
    whole = (None, *out)
    if from_end:
        known |= dict(zip(reversed(plain_out), reversed(whole), strict=False))
        sizes = dict(zip(reversed(plain_in), reversed(shape), strict=False))
    else:
        known |= dict(zip(plain_out, whole, strict=False))
        sizes = dict(zip(plain_in, shape, strict=False))
    known |= sizes
    missing = [letter for letter in kernel if not known.get(letter)]
    if missing:
        raise ValueError(
            f"the equation {equation!r} does not determine the size of {missing[0]}"
        )
    kernel_shape = tuple(int(known[letter] or 0) for letter in kernel)
    if bias_axes is None:
        return kernel_shape, None
    first = min(plain_out.index(letter) for letter in bias_axes)
    sizes_out = tuple(
        int(known[letter] or 0) if letter in bias_axes else 1
        for letter in plain_out[first:]
    )
    return kernel_shape, sizes_out


def _masking(run: Run, x: Array) -> Array:
    real = jnp.any(x != run.options["mask_value"], axis=-1)
    run.out_mask = real
    return jnp.where(real[..., None], x, 0)


def _activation(run: Run, x: Array) -> Array:
    return run.activation(x)


def _relu(run: Run, x: Array) -> Array:
    o = run.options
    slope, threshold, top = o["negative_slope"], o["threshold"], o["max_value"]
    if threshold == 0 and top is None:
        return jnp.where(x > 0, x, slope * x) if slope else jax.nn.relu(x)
    y = jnp.where(x > threshold, x, jnp.zeros_like(x))
    if top is not None:
        y = jnp.clip(y, 0, top)
    if slope:
        y = y - slope * jax.nn.relu(threshold - x)
    return y


def _leaky_relu(run: Run, x: Array) -> Array:
    return nn.leaky_relu(x, run.options["negative_slope"])


def _elu(run: Run, x: Array) -> Array:
    return nn.elu(x, run.options["alpha"])


def _prelu(run: Run, x: Array) -> Array:
    shared = run.options["shared_axes"] or ()
    shape = tuple(
        1 if axis in shared else size for axis, size in enumerate(x.shape) if axis
    )
    alpha = jnp.broadcast_to(run.weight("alpha", shape), x.shape)
    return jax.nn.relu(x) - alpha * jax.nn.relu(-x)


def _softmax(run: Run, x: Array, mask: Array | None = None) -> Array:
    axis: Any = run.options["axis"]
    mask = run.masks.get(0) if mask is None else mask
    if mask is not None:
        far = -3e4 if x.dtype == jnp.float16 else -1e9
        x = jnp.where(jnp.broadcast_to(mask, x.shape), x, far)
    return jax.nn.softmax(x, axis=axis)


def _identity(run: Run, x: Any) -> Any:
    return x


def _activity(run: Run, x: Array) -> Array:
    return x  # `KerasLayer` adds the penalty to the loss


QUANTIZED = {"quantization_config": Option(choice(None), None), **ADAPTED}

LAYERS = {
    "Dense": Entry(
        _dense,
        {
            "units": Option(whole()),
            "activation": ACTIVATION,
            **KERNEL,
            **BIAS,
            **QUANTIZED,
        },
        keeps_mask=True,
    ),
    "EinsumDense": Entry(
        _einsum_dense,
        {
            "equation": Option(text),
            "output_shape": Option(several(optional(whole()))),
            "activation": ACTIVATION,
            "bias_axes": Option(optional(text), None),
            **KERNEL,
            **weight("bias", "Zeros"),
            **QUANTIZED,
        },
    ),
    "Masking": Entry(_masking, {"mask_value": Option(number(), 0.0)}),
    "Activation": Entry(_activation, {"activation": ACTIVATION}, keeps_mask=True),
    "ReLU": Entry(
        _relu,
        {
            "max_value": Option(optional(number(0)), None),
            "negative_slope": Option(either(choice(None), number(0)), 0.0),
            "threshold": Option(number(0), 0.0),
        },
        keeps_mask=True,
    ),
    "LeakyReLU": Entry(
        _leaky_relu,
        {"negative_slope": Option(number(0), 0.3), "alpha": Option(choice(None), None)},
        keeps_mask=True,
    ),
    "ELU": Entry(_elu, {"alpha": Option(number(), 1.0)}, keeps_mask=True),
    "PReLU": Entry(
        _prelu,
        {
            **weight("alpha", "Zeros"),
            "shared_axes": Option(optional(several(whole())), None),
        },
        keeps_mask=True,
    ),
    "Softmax": Entry(
        _softmax,
        {"axis": Option(either(whole(-8), several(whole(-8))), -1)},
        keeps_mask=True,
        kwargs=("mask",),
    ),
    "Identity": Entry(_identity, keeps_mask=True),
    "ActivityRegularization": Entry(
        _activity,
        {"l1": Option(number(0), 0.0), "l2": Option(number(0), 0.0)},
        keeps_mask=True,
    ),
}

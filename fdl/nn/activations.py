"""Activations with Keras' names, defaults and derivatives.

Most are JAX's own. The others are missing from JAX, have different defaults there
(`gelu`, `leaky_relu`), or have different derivatives where two pieces meet, which here
are TensorFlow's (`leaky_relu`, `selu`, `sparse_sigmoid`). Keras' `sparsemax` is left
out: in Keras 3.15, its values do not sum to one.

Example:
    >>> gelu(jnp.float32(1))
    Array(0.8413447, dtype=float32)
    >>> leaky_relu(jnp.float32(-1))
    Array(-0.2, dtype=float32)
"""

import jax
import jax.numpy as jnp
from jax.nn import celu as celu
from jax.nn import elu as elu
from jax.nn import glu as glu
from jax.nn import hard_sigmoid as hard_sigmoid
from jax.nn import hard_silu as hard_silu
from jax.nn import hard_tanh as hard_tanh
from jax.nn import log_sigmoid as log_sigmoid
from jax.nn import log_softmax as log_softmax
from jax.nn import mish as mish
from jax.nn import relu as relu
from jax.nn import relu6 as relu6
from jax.nn import sigmoid as sigmoid
from jax.nn import silu as silu
from jax.nn import soft_sign as softsign
from jax.nn import softmax as softmax
from jax.nn import softplus as softplus
from jax.nn import sparse_plus as sparse_plus
from jax.nn import squareplus as squareplus
from jax.numpy import exp as exponential
from jax.numpy import tanh as tanh
from jaxtyping import Float

from fdl.arrays import Array
from fdl.ops.layers import keras_layer

__all__ = [
    "celu",
    "elu",
    "exponential",
    "gelu",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "tanh",
    "tanh_shrink",
    "threshold",
]


@keras_layer
def gelu(
    x: Float[Array, "*shape"], approximate: bool = False
) -> Float[Array, "*shape"]:
    """Gaussian error linear unit (Hendrycks & Gimpel, 2016, arXiv:1606.08415).

    `x` times the probability that a standard normal variable is below `x`. Exact unless
    `approximate` is set; JAX approximates by default.
    """
    return jax.nn.gelu(x, approximate=approximate)


@keras_layer
def leaky_relu(
    x: Float[Array, "*shape"], negative_slope: float = 0.2
) -> Float[Array, "*shape"]:
    """Leaky rectifier (Maas et al., 2013): `x`, or `negative_slope * x` below zero."""
    return jnp.where(x > 0, x, negative_slope * x)


@keras_layer
def selu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Self-normalizing unit (Klambauer et al., 2017, arXiv:1706.02515).

    Preserves mean 0 and variance 1 through layers that are initialized from a normal
    distribution with variance `1 / fan_in`.
    """
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    below = alpha * jnp.expm1(jnp.where(x < 0, x, 0))
    return scale * jnp.where(x < 0, below, x)


@keras_layer
def sparse_sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Linear sigmoid, 0 below -1 and 1 above 1 (Martins & Astudillo, 2016)."""
    middle = (x > -1) & (x < 1)
    return jnp.where(middle, 0.5 * (x + 1), jnp.where(x < 0, 0, 1).astype(x.dtype))


def linear(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return `x`."""
    return x


@keras_layer
def tanh_shrink(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return `x - tanh(x)`."""
    return x - jnp.tanh(x)


@keras_layer
def soft_shrink(
    x: Float[Array, "*shape"], threshold: float = 0.5
) -> Float[Array, "*shape"]:
    """Move `x` toward zero by `threshold`, but not past it.

    The proximal operator of the lasso (Donoho, 1995).
    """
    return jnp.where(
        x > threshold, x - threshold, jnp.where(x < -threshold, x + threshold, 0)
    )


@keras_layer
def hard_shrink(
    x: Float[Array, "*shape"], threshold: float = 0.5
) -> Float[Array, "*shape"]:
    """Return `x`, or zero where `|x|` is at most `threshold` (Donoho, 1995)."""
    return jnp.where(jnp.abs(x) > threshold, x, 0)


def threshold(
    x: Float[Array, "*shape"], threshold: float, default_value: float
) -> Float[Array, "*shape"]:
    """Return `x` where it is above `threshold`, and `default_value` elsewhere."""
    return jnp.where(x > threshold, x, default_value)

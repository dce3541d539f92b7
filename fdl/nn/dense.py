"""The fully connected layer."""

import math
from typing import Any

import flax.linen as nn

from fdl import ops
from fdl.arrays import Array
from fdl.nn import initializers
from fdl.nn.initializers import Initializer
from fdl.ranges import require_whole


def dot_general(x: Array, kernel: Array, numbers: Any, precision: Any = None) -> Array:
    """Contract features with the first axes of a kernel; a `dot_general` for Linen."""
    (axes, _), _ = numbers
    rows, features = x.shape[: -len(axes)], math.prod(kernel.shape[: len(axes)])
    y = ops.dense(x.reshape(*rows, features), kernel.reshape(features, -1))
    return y.reshape(*rows, *kernel.shape[len(axes) :])


def Dense(
    features: int,
    *,
    kernel_init: Initializer = "glorot_uniform",
    bias_init: Initializer = "zeros",
    **options: Any,
) -> nn.Dense:
    """Return the layer `y = x kernel + bias`: Linen's `Dense`, with Keras' defaults.

    Args:
        features: Width of the output, at least 1.
        kernel_init: Initializer of the kernel; see `fdl.nn.initializers`.
        bias_init: Initializer of the bias.
        **options: Other attributes of Linen's `Dense`, such as `use_bias` and `name`.

    Raises:
        ValueError: If `features` is below 1, or an initializer is unknown.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> layer, x = Dense(3), jnp.ones((8, 5))
        >>> layer.apply(layer.init(jax.random.key(0), x), x).shape
        (8, 3)
    """
    require_whole("[1, inf)", features=features)
    given: dict[str, Any] = {"dot_general": dot_general} | options
    return nn.Dense(
        features,
        kernel_init=initializers.get(kernel_init),
        bias_init=initializers.get(bias_init),
        **given,
    )

"""The fully connected layer."""

import functools
import math
from typing import Any

import flax.linen as nn

from fdl import ops
from fdl.arrays import Array


def dot_general(x: Array, kernel: Array, numbers: Any, precision: Any = None) -> Array:
    """Contract features with the first axes of a kernel, as Linen asks for."""
    (axes, _), _ = numbers
    rows, features = x.shape[: -len(axes)], math.prod(kernel.shape[: len(axes)])
    y = ops.dense(x.reshape(*rows, features), kernel.reshape(features, -1))
    return y.reshape(*rows, *kernel.shape[len(axes) :])


Dense = functools.partial(
    nn.Dense,
    kernel_init=nn.initializers.glorot_uniform(),
    dot_general=dot_general,
)
"""`y = x kernel + bias`: Linen's `Dense` with Keras' initial distribution."""

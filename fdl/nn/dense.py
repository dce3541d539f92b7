"""The fully connected layer."""

import functools
import math
from typing import Any

import flax.linen as nn

from fdl import ops
from fdl.arrays import Array


def product(x: Array, kernel: Array, numbers: Any, precision: Any = None) -> Array:
    """Return what Linen asks for: the features' product with a kernel's first axes."""
    (axes, _), _ = numbers
    rows, features = x.shape[: -len(axes)], math.prod(kernel.shape[: len(axes)])
    y = ops.dense(x.reshape(*rows, features), kernel.reshape(features, -1))
    return y.reshape(*rows, *kernel.shape[len(axes) :])


Dense = functools.partial(
    nn.Dense,
    kernel_init=nn.initializers.glorot_uniform(),
    dot_general=product,
)
"""`y = x kernel + bias`: Linen's `Dense`, starting from Keras' distribution."""

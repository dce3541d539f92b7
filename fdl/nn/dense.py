"""The fully connected layer."""

import functools
from typing import Any

import flax.linen as nn

from fdl import ops
from fdl.arrays import Array


def _product(x: Array, kernel: Array, numbers: Any, precision: Any = None) -> Array:
    # Linen asks for the features' product with a kernel, and for nothing else.
    return ops.dense(x, kernel)


Dense = functools.partial(
    nn.Dense,
    kernel_init=nn.initializers.glorot_uniform(),
    dot_general=_product,
)
"""`y = x kernel + bias`: Linen's `Dense`, starting from Keras' distribution."""

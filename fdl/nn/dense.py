"""The fully connected layer."""

import functools

import flax.linen as nn

Dense = functools.partial(nn.Dense, kernel_init=nn.initializers.glorot_uniform())
"""`y = x kernel + bias`: Linen's `Dense`, starting from Keras' distribution."""

"""Linen modules with the class names and arrays of Keras layers; they compute nothing.

Arrays are defined in another order than in Keras, since the order must not matter.
"""

import flax.linen as linen
import jax.numpy as jnp

from fdl import nn


def define(module: linen.Module, **shapes: tuple[int, ...]) -> None:
    for name, shape in shapes.items():
        if name in ("mean", "var"):
            module.variable("batch_stats", name, jnp.zeros, shape)
        else:
            module.param(name, linen.initializers.zeros, shape)


def zeros(x, features: int):
    return jnp.zeros((*x.shape[:-1], features))


class BatchNormalization(linen.Module):
    @linen.compact
    def __call__(self, x):
        define(self, **dict.fromkeys(("var", "mean", "bias", "scale"), x.shape[-1:]))
        return x


class LayerNormalization(linen.Module):
    @linen.compact
    def __call__(self, x):
        define(self, bias=x.shape[-1:], scale=x.shape[-1:])
        return x


class GroupNormalization(LayerNormalization):
    pass


class Embedding(linen.Module):
    @linen.compact
    def __call__(self, x):
        define(self, embedding=(20, 6))
        return jnp.zeros((*x.shape, 6))


class SeparableConv2D(linen.Module):
    @linen.compact
    def __call__(self, x):
        inputs = x.shape[-1]
        define(self, bias=(5,), pointwise_kernel=(1, 1, inputs, 5))
        define(self, depthwise_kernel=(3, 3, inputs, 1))
        return zeros(x, 5)


class Recurrent(linen.Module):
    size: int
    gates = 1
    biases = ()

    @linen.compact
    def __call__(self, x):
        width = self.gates * self.size
        define(self, bias=(*self.biases, width), recurrent_kernel=(self.size, width))
        define(self, kernel=(x.shape[-1], width))
        return zeros(x, self.size)


class SimpleRNN(Recurrent):
    pass


class LSTM(Recurrent):
    gates = 4


class GRU(Recurrent):
    gates = 3
    biases = (2,)


class Bidirectional(linen.Module):
    size: int

    @linen.compact
    def __call__(self, x):
        backward = LSTM(self.size, name="backward")(x)
        return jnp.concatenate([LSTM(self.size, name="forward")(x), backward], -1)


class Projection(linen.Module):
    kernel: tuple[int, ...]
    bias: tuple[int, ...]

    @linen.compact
    def __call__(self, x):
        define(self, bias=self.bias, kernel=self.kernel)
        return x


class MultiHeadAttention(linen.Module):
    heads: int
    size: int

    @linen.compact
    def __call__(self, x):
        width, each = x.shape[-1], (self.heads, self.size)
        Projection((*each, width), (width,), name="out")(x)
        for name in ("value", "query", "key"):
            Projection((width, *each), each, name=name)(x)
        return x


class AdditiveAttention(linen.Module):
    @linen.compact
    def __call__(self, x):
        define(self, scale=x.shape[-1:])
        return x


class Words(linen.Module):
    """One of each layer for sequences; takes `(batch, 7)` integers."""

    @linen.compact
    def __call__(self, x):
        x = Embedding(name="words")(x)
        x = Bidirectional(4, name="both")(x)
        x = LSTM(5, name="lstm")(x)
        x = GRU(5, name="gru")(x)
        x = SimpleRNN(6, name="rnn")(x)
        x = MultiHeadAttention(2, 3, name="attention1")(x)
        x = MultiHeadAttention(2, 3, name="attention2")(x)
        x = AdditiveAttention(name="additive")(x)
        return LayerNormalization(name="norm")(x)


class Block(linen.Module):
    @linen.compact
    def __call__(self, x):
        x = nn.Conv2D(4, (3, 3), padding="same", name="conv")(x)
        return BatchNormalization(name="norm")(x)


class Blocks(linen.Module):
    """Nested modules, many of the same class; takes `(batch, 9, 9, 4)`."""

    num_blocks: int = 12

    @linen.compact
    def __call__(self, x):
        for number in range(1, self.num_blocks + 1):
            x = Block(name=f"block{number}")(x)
        x = SeparableConv2D(name="separable")(x)
        x = GroupNormalization(name="norm")(x)
        return nn.Dense(4, name="head")(x)

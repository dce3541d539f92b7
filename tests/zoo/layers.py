"""The table of layers for the laws, each with all of its inputs."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as linen
import jax
import numpy as np

from fdl import nn
from zoo.case import draw_variables

TIME, CHANNELS, FEATURES = 6, 3, 4
QUERIES, KEYS = 4, 5


class Call(linen.Module):
    """A layer, and a function that calls it."""

    layer: linen.Module
    call: Callable[..., Any]

    def __call__(self, *inputs: Any) -> Any:
        return self.call(self.layer, *inputs)


class LayerCase(NamedTuple):
    """A layer, with the interface of a `Case` that the laws use.

    Attributes:
        name: Its name in reports.
        layer: The layer.
        draw: Draws its inputs, trees of arrays, from a generator and batch axes.
        call: Calls the layer with its inputs.
        without_gradient: Parameters that do not affect the outputs.
    """

    name: str
    layer: linen.Module
    draw: Callable[[np.random.Generator, tuple[int, ...]], tuple[Any, ...]]
    call: Callable[..., Any] = lambda layer, *inputs: layer(*inputs)
    without_gradient: tuple[str, ...] = ()

    classes = None
    kinks = False

    def make(self) -> Call:
        """Return the layer as a module of its inputs."""
        return Call(self.layer, self.call)

    def arrays(self, *batch: int, seed: int = 0) -> tuple[Any, ...]:
        """Draw distinct inputs."""
        return self.draw(np.random.default_rng(seed), batch)

    def variables(self, seed: int = 0) -> Any:
        """Draw distinct parameters, including biases."""
        return draw_variables(self.make(), *self.arrays(1), seed=seed)


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(np.float32)


def image(*shape: int) -> Callable[..., tuple[Any, ...]]:
    return lambda rng, batch: (normal(rng, *batch, *shape),)


def sequence(state: Any) -> Callable[..., tuple[Any, ...]]:
    """Draw a sequence, an initial state in the form of `state`, and a mask."""

    def draw(rng: np.random.Generator, batch: tuple[int, ...]) -> tuple[Any, ...]:
        x = normal(rng, *batch, TIME, CHANNELS)
        start = jax.tree.map(lambda _: normal(rng, *batch, FEATURES), state)
        return x, start, rng.random((*batch, TIME)) < 0.7

    return draw


def attended(rng: np.random.Generator, batch: tuple[int, ...]) -> tuple[Any, ...]:
    """Draw queries, keys, values, and a mask that always allows the first key."""
    mask = rng.random((*batch, QUERIES, KEYS)) < 0.6
    mask[..., 0] = True
    query, key = normal(rng, *batch, QUERIES, 6), normal(rng, *batch, KEYS, 6)
    return query, key, normal(rng, *batch, KEYS, 7), mask


def recurrent(layer: Any, x: Any, state: Any, mask: Any) -> Any:
    return layer(x, state, mask=mask)


def attention(layer: Any, query: Any, key: Any, value: Any, mask: Any) -> Any:
    return layer(query, key, value, mask=mask)


def causal(layer: Any, query: Any, key: Any, value: Any, mask: Any) -> Any:
    return layer(query, key, value, mask=mask, causal=True)


_ONE, _TWO = sequence(0), sequence(nn.LSTMState(0, 0))
_BOTH = sequence(nn.BidirectionalState(nn.LSTMState(0, 0), nn.LSTMState(0, 0)))
_LSTM = nn.LSTM(FEATURES)
_HEADS = nn.MultiHeadAttention(num_heads=2, key_size=5, value_size=3)
_SHIFT = ("layer/key/bias",)  # the same for all keys, it does not change the weights

CASES = [
    LayerCase("Conv1D", nn.Conv1D(4, 3, padding="causal"), image(7, 2)),
    LayerCase(
        "Conv2D", nn.Conv2D(4, (3, 3), dilation=(2, 1), groups=2), image(7, 6, 2)
    ),
    LayerCase(
        "DepthwiseConv2D",
        nn.DepthwiseConv2D((3, 2), depth_multiplier=2),
        image(7, 6, 2),
    ),
    LayerCase("SeparableConv2D", nn.SeparableConv2D(4, (3, 3)), image(7, 6, 2)),
    LayerCase("Conv2DTranspose", nn.Conv2DTranspose(4, (3, 3), (2, 2)), image(7, 6, 2)),
    LayerCase("BatchNormalization", nn.BatchNormalization(), image(7, 6, 2)),
    LayerCase("LayerNormalization", nn.LayerNormalization(), image(7, 6, 4)),
    LayerCase("GroupNormalization", nn.GroupNormalization(2), image(7, 6, 4)),
    LayerCase("InstanceNormalization", nn.InstanceNormalization(), image(7, 6, 4)),
    LayerCase("SimpleRNN", nn.SimpleRNN(FEATURES), _ONE, recurrent),
    LayerCase("LSTM", _LSTM, _TWO, recurrent),
    LayerCase("LSTM reversed", nn.LSTM(FEATURES, reverse=True), _TWO, recurrent),
    LayerCase("GRU", nn.GRU(FEATURES), _ONE, recurrent),
    LayerCase("GRU reset before", nn.GRU(FEATURES, reset_after=False), _ONE, recurrent),
    LayerCase("Bidirectional", nn.Bidirectional(_LSTM), _BOTH, recurrent),
    LayerCase("MultiHeadAttention", _HEADS, attended, attention, _SHIFT),
    LayerCase("MultiHeadAttention causal", _HEADS, attended, causal, _SHIFT),
    LayerCase("AdditiveAttention", nn.AdditiveAttention(), attended, attention),
    LayerCase("AdditiveAttention causal", nn.AdditiveAttention(), attended, causal),
]

"""Rows of the table of layers for sequences: recurrent, attention and embedding."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from fdl import nn
from lazily import keras
from parity.layers import row
from parity.pick import Pick, normal, number
from zoo.layers import Call

MASK = np.array(
    [
        [1, 1, 1, 0, 0, 0],  # padding after the sequence
        [0, 0, 1, 1, 1, 1],  # padding before it
        [0, 1, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 1],
    ],
    bool,
)


def as_state(states: list[Any]) -> Any:
    """Return the state of a layer in fdl's form, from a list as in Keras."""
    return nn.LSTMState(*states) if len(states) == 2 else states[0]


def sequences(pick: Pick, num_states: int) -> tuple[int, bool, tuple[np.ndarray, ...]]:
    """Choose the features, whether to use a mask, and inputs: x, mask, states."""
    masked = pick.one([False, True])
    batch, time = MASK.shape if masked else (number(pick, 1, 3), number(pick, 1, 6))
    features = number(pick, 1, 4)
    x = normal(batch, time, number(pick, 1, 4))
    mask = MASK if masked else np.ones((batch, time), bool)
    states = [normal(batch, features) * (1 + i) / 4 for i in range(num_states)]
    if pick.one([False, True]):
        states = []
    return features, masked, (x, mask, *states)


def recurrent(
    pick: Pick, ours: Any, theirs: Any, num_states: int, **options: Any
) -> Any:
    features, masked, inputs = sequences(pick, num_states)
    reverse = pick.one([False, True])

    def our_call(layer: Any, x: Any, mask: Any, *states: Any) -> Any:
        start = as_state(list(states)) if states else None
        outputs, state = layer(x, start, mask=mask if masked else None)
        # Without return_sequences, its default, Keras returns the last computed output.
        return outputs, outputs[:, 0 if reverse else -1], state

    def make() -> Callable[..., Any]:
        layer = theirs(
            features,
            return_sequences=True,
            return_state=True,
            go_backwards=reverse,
            **options,
        )

        def their_call(x: Any, mask: Any, *states: Any) -> Any:
            outputs, *final = layer(
                x, mask=mask if masked else None, initial_state=list(states) or None
            )
            in_order = keras.ops.flip(outputs, axis=1) if reverse else outputs
            return [in_order, outputs[:, -1], *final]

        return their_call

    layer = ours(features, reverse=reverse, **options)
    return Call(layer, our_call), make, inputs


@row
def SimpleRNN(pick: Pick) -> Any:
    return recurrent(pick, nn.SimpleRNN, keras.layers.SimpleRNN, 1)


@row
def LSTM(pick: Pick) -> Any:
    return recurrent(pick, nn.LSTM, keras.layers.LSTM, 2)


@row
def GRU(pick: Pick) -> Any:
    return recurrent(pick, nn.GRU, keras.layers.GRU, 1)


@row
def GRU_reset_before(pick: Pick) -> Any:
    return recurrent(pick, nn.GRU, keras.layers.GRU, 1, reset_after=False)


@row
def Bidirectional(pick: Pick) -> Any:
    kind, half = pick.one([("SimpleRNN", 1), ("LSTM", 2), ("GRU", 1)])
    merge_mode = pick.one(["concat", "sum", "mul", "ave"])
    features, masked, inputs = sequences(pick, 2 * half)

    def our_call(layer: Any, x: Any, mask: Any, *states: Any) -> Any:
        start = None
        if states:
            ends = as_state(list(states[:half])), as_state(list(states[half:]))
            start = nn.BidirectionalState(*ends)
        return layer(x, start, mask=mask if masked else None)

    def make() -> Callable[..., Any]:
        one = getattr(keras.layers, kind)(
            features, return_sequences=True, return_state=True
        )
        layer = keras.layers.Bidirectional(one, merge_mode)
        return lambda x, mask, *states: layer(
            x, mask=mask if masked else None, initial_state=list(states) or None
        )

    layer = nn.Bidirectional(getattr(nn, kind)(features), merge_mode)
    return Call(layer, our_call), make, inputs


@row
def Bidirectional_last_output(pick: Pick) -> Any:
    """The output that Keras returns by default: the last states of both directions."""

    def our_call(layer: Any, x: Any, mask: Any) -> Any:
        state = layer(x, mask=mask).state
        return jnp.concatenate([state.forward, state.backward], axis=-1)

    def make() -> Callable[..., Any]:
        layer = keras.layers.Bidirectional(keras.layers.GRU(3))
        return lambda x, mask: layer(x, mask=mask)

    layer = nn.Bidirectional(nn.GRU(3))
    return Call(layer, our_call), make, (normal(*MASK.shape, 2), MASK)


@row
def MultiHeadAttention(pick: Pick) -> Any:
    # Powers of 4: on TensorFlow, Keras rounds 1 / sqrt(size) to float32.
    heads, size = number(pick, 1, 3), pick.one([1, 4, 16])
    value_size, features = pick.one([None, 3]), pick.one([None, 5])
    use_bias = pick.one([True, False])
    # The second rate drops nothing, but changes the output of a query without keys.
    dropout_rate = pick.one([0.0, 1e-12])
    batch, query_time, key_time = (number(pick, 1, 5) for _ in range(3))
    some = np.random.default_rng(0).random
    causal, mask = pick.one(
        [
            (True, np.ones((batch, query_time, key_time), bool)),
            (False, some((batch, query_time, key_time)) < 0.5),
            (False, some((batch, 1, key_time)) < 0.5),
            (True, some((batch, heads, query_time, key_time)) < 0.5),
        ]
    )
    if mask.ndim == 4:  # for several heads, and with keys that causality hides
        heads, key_time = max(heads, 2), query_time + 2
        mask = some((batch, heads, query_time, key_time)) < 0.5
        value_size, dropout_rate = None, 0.0  # as JAX's own function requires
    # On TensorFlow, Keras adds a bias of (heads, 1) along time if time equals heads.
    use_bias = use_bias and not (size == 1 and heads in (query_time, key_time))
    inputs = (normal(batch, query_time, 4), normal(batch, key_time, 3), mask)

    def our_call(layer: Any, query: Any, key: Any, mask: Any) -> Any:
        return layer(query, key, mask=mask, causal=causal)

    def make() -> Callable[..., Any]:
        layer = keras.layers.MultiHeadAttention(
            heads,
            size,
            value_size,
            dropout=dropout_rate,
            use_bias=use_bias,
            output_shape=features,
        )
        return lambda query, key, mask: layer(
            query,
            key,
            key,
            attention_mask=mask,
            use_causal_mask=causal,
        )

    layer = nn.MultiHeadAttention(
        heads, size, value_size, features, dropout_rate, use_bias
    )
    return Call(layer, our_call), make, inputs


@row
def AdditiveAttention(pick: Pick) -> Any:
    causal, masked = pick.one([True, False]), pick.one([True, False])
    batch, time = MASK.shape
    inputs = (normal(batch, 4, 3), normal(batch, time, 3), MASK)

    def our_call(layer: Any, query: Any, key: Any, mask: Any) -> Any:
        mask = mask[:, None, :] if masked else None
        return layer(query, key, mask=mask, causal=causal)

    def make() -> Callable[..., Any]:
        layer = keras.layers.AdditiveAttention()
        return lambda query, key, mask: layer(
            [query, key], mask=[None, mask] if masked else None, use_causal_mask=causal
        )

    return Call(nn.AdditiveAttention(), our_call), make, inputs


@row
def Embedding(pick: Pick) -> Any:
    """The table, with repeated and negative tokens, and its transpose as output."""
    shape = (number(pick, 1, 3), number(pick, 1, 5))
    token = np.random.default_rng(0).integers(-7, 7, size=shape)
    inputs = (token.astype(np.int32), normal(*shape, 4))

    def our_call(layer: Any, token: Any, x: Any) -> Any:
        return layer(token), layer.attend(x)

    def make() -> Callable[..., Any]:
        layer = keras.layers.ReversibleEmbedding(7, 4, tie_weights=True)
        return lambda token, x: [layer(token), layer(x, reverse=True)]

    return Call(nn.Embedding(7, 4), our_call), make, inputs

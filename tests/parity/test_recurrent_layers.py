"""Recurrent layers against Keras': outputs, states and gradients, masks included."""

from typing import Any

import jax
import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_pairs import compare, compare_starts, draw, precise, precisions

from fdl import nn

pytestmark = pytest.mark.parity

WEIGHTS = ("kernel", "recurrent_kernel", "bias")
BOTH_WAYS = tuple(f"{way}/{w}" for way in ("forward", "backward") for w in WEIGHTS)
MASK = np.array(
    [
        [1, 1, 1, 0, 0, 0],  # padding after the sequence
        [0, 0, 1, 1, 1, 1],  # and before it
        [0, 1, 0, 1, 1, 0],
        [0, 0, 0, 0, 0, 0],
        [1, 1, 1, 1, 1, 1],
    ],
    bool,
)
RECURRENT = {
    "SimpleRNN": (nn.SimpleRNN, keras.layers.SimpleRNN, {}),
    "LSTM": (nn.LSTM, keras.layers.LSTM, {}),
    "GRU": (nn.GRU, keras.layers.GRU, {}),
    "GRU reset before": (nn.GRU, keras.layers.GRU, {"reset_after": False}),
}
# Options of the call: reversed, masked, with an initial state; then
# batch, time, channels, features.
CALLS = {
    "plain": ("", (3, 5, 4, 6)),
    "initial state": ("initial", (3, 5, 4, 6)),
    "reversed": ("reverse initial", (3, 5, 4, 6)),
    "one step": ("initial", (3, 1, 4, 6)),
    "batch of one": ("initial", (1, 5, 4, 6)),
    "one channel, one feature": ("reverse", (3, 5, 1, 1)),
    "masked": ("masked", (5, 6, 4, 3)),
    "masked, initial state": ("masked initial", (5, 6, 4, 3)),
    "masked, initial state, reversed": ("masked initial reverse", (5, 6, 4, 3)),
}
kinds = pytest.mark.parametrize("kind", RECURRENT)


def initial_states(count: int, precision: str, *shape: int) -> dict[str, np.ndarray]:
    return {f"state{i}": draw(precision, *shape, seed=i) for i in range(count)}


def as_state(states: list[Any]) -> Any:
    """Put Keras' list of the states of one layer into our form."""
    return nn.LSTMState(*states) if len(states) == 2 else states[0]


@precisions
@pytest.mark.parametrize("call", CALLS)
@kinds
def test_recurrent(kind: str, call: str, precision: str) -> None:
    layer, twin, options = RECURRENT[kind]
    how, (batch, time, channels, features) = CALLS[call]
    mask = MASK if "masked" in how else None
    reverse = "reverse" in how
    inputs = {"x": draw(precision, batch, time, channels)}
    if "initial" in how:
        inputs |= initial_states(1 + (kind == "LSTM"), precision, batch, features)

    def ours(layer, x, **states):
        state = as_state(list(states.values())) if states else None
        outputs, state = layer(x, state, mask=mask)
        last = outputs[:, 0] if reverse else outputs[:, -1]
        return [outputs, last, *jax.tree.leaves(state)]

    def theirs(twin, x, **states):
        outputs, *states = twin(
            x, initial_state=list(states.values()) or None, mask=mask
        )
        in_our_order = tf.reverse(outputs, [1]) if reverse else outputs
        return [in_our_order, outputs[:, -1], *states]

    with precise(precision):
        compare(
            layer(features, reverse=reverse, **options),
            twin(
                features,
                return_sequences=True,
                return_state=True,
                go_backwards=reverse,
                **options,
            ),
            WEIGHTS,
            inputs,
            ours,
            theirs,
            precision,
        )


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@kinds
def test_output_that_keras_returns_by_default(kind, reverse, masked) -> None:
    layer, twin, options = RECURRENT[kind]
    mask = MASK if masked else None

    def ours(layer, x):
        return [layer(x, mask=mask).outputs[:, 0 if reverse else -1]]

    compare(
        layer(3, reverse=reverse, **options),
        twin(3, go_backwards=reverse, **options),
        WEIGHTS,
        {"x": draw("float32", 5, 6, 4)},
        ours,
        lambda twin, x: [twin(x, mask=mask)],
        "float32",
    )


@precisions
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("kind", "merge_mode"),
    [(kind, "concat") for kind in RECURRENT]
    + [("LSTM", mode) for mode in ("sum", "mul", "ave")],
)
def test_bidirectional(kind, merge_mode, masked, precision) -> None:
    layer, twin, options = RECURRENT[kind]
    mask = MASK if masked else None
    half = 1 + (kind == "LSTM")
    inputs = {"x": draw(precision, 5, 6, 4)}
    inputs |= initial_states(2 * half, precision, 5, 3)

    def ours(layer, x, **states):
        states = list(states.values())
        start = nn.BidirectionalState(as_state(states[:half]), as_state(states[half:]))
        outputs, state = layer(x, start, mask=mask)
        return [outputs, *jax.tree.leaves(state)]

    def theirs(twin, x, **states):
        return twin(x, initial_state=list(states.values()), mask=mask)

    with precise(precision):
        compare(
            nn.Bidirectional(layer(3, **options), merge_mode),
            keras.layers.Bidirectional(
                twin(3, return_sequences=True, return_state=True, **options),
                merge_mode,
            ),
            BOTH_WAYS,
            inputs,
            ours,
            theirs,
            precision,
        )


@kinds
def test_bidirectional_output_that_keras_returns_by_default(kind) -> None:
    layer, twin, options = RECURRENT[kind]

    def ours(layer, x):
        state = layer(x, mask=MASK).state
        ends = [jax.tree.leaves(s)[0] for s in (state.forward, state.backward)]
        return [jax.numpy.concatenate(ends, axis=-1)]

    compare(
        nn.Bidirectional(layer(3, **options)),
        keras.layers.Bidirectional(twin(3, **options)),
        BOTH_WAYS,
        {"x": draw("float32", 5, 6, 4)},
        ours,
        lambda twin, x: [twin(x, mask=MASK)],
        "float32",
    )


STARTS = {
    "SimpleRNN": (nn.SimpleRNN(64), keras.layers.SimpleRNN(64), WEIGHTS),
    "LSTM": (nn.LSTM(64), keras.layers.LSTM(64), WEIGHTS),
    "GRU": (nn.GRU(64), keras.layers.GRU(64), WEIGHTS),
    "Bidirectional": (
        nn.Bidirectional(nn.LSTM(64)),
        keras.layers.Bidirectional(keras.layers.LSTM(64)),
        BOTH_WAYS,
    ),
}


@pytest.mark.parametrize("name", STARTS)
def test_training_starts_from_keras_distribution(name: str) -> None:
    layer, twin, order = STARTS[name]
    x = np.ones((1, 2, 96), np.float32)
    twin(x)
    compare_starts(layer, twin, order, [x])

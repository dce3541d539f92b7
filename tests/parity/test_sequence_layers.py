"""Recurrent, attention and embedding layers against Keras' on TensorFlow.

The error of an array is ||ours - theirs|| / ||theirs||, and every array counts: all
outputs and states, and the gradient of every parameter, input and initial state.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import flax.linen as linen
import jax
import keras
import numpy as np
import pytest
import tensorflow as tf
from flax.traverse_util import flatten_dict, unflatten_dict

from fdl import nn

TOLERANCE = {"float32": (1e-5, 1e-4), "float64": (1e-10, 1e-9)}  # values, gradients

pytestmark = pytest.mark.parity
precisions = pytest.mark.parametrize("precision", ["float32", "float64"])


@contextlib.contextmanager
def precise(precision: str):
    """Compute in one precision on both sides."""
    keras.config.set_floatx(precision)
    keras.config.set_dtype_policy(precision)  # it keeps the first float type otherwise
    try:
        with jax.enable_x64(precision == "float64"):
            yield
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def draw(precision: str, *shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng((seed, *shape)).normal(size=shape).astype(precision)


def error(ours: Any, theirs: Any) -> float:
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    return float(np.linalg.norm(ours - theirs) / max(np.linalg.norm(theirs), 1e-30))


def compare(
    layer: linen.Module,
    twin: Any,
    order: tuple[str, ...],
    inputs: dict[str, np.ndarray],
    ours: Callable[..., list[Any]],
    theirs: Callable[..., list[Any]],
    precision: str,
    vanishing: tuple[str, ...] = (),
) -> None:
    """Compare what both layers make of `inputs`, and all its derivatives.

    Args:
        layer: Our layer.
        twin: Keras' layer.
        order: The order in which Keras lists the weights, by our names.
        inputs: What is differentiated besides the weights.
        ours: Function of our layer and of the inputs; returns a list of arrays.
        theirs: The same of the twin.
        precision: Floating type of both sides.
        vanishing: Parameters whose gradient is zero but for rounding.
    """
    function = linen.apply(ours, layer)
    init = linen.init(ours, layer)
    shapes = jax.eval_shape(init, jax.random.key(0), **inputs)["params"]
    shapes = {"/".join(k): v.shape for k, v in flatten_dict(shapes).items()}
    weights = {
        name: draw(precision, *shapes[name], seed=i) / 2 for i, name in enumerate(order)
    }
    assert weights.keys() == shapes.keys()

    def run(weights: dict, inputs: dict) -> list[Any]:
        return function({"params": unflatten_dict(weights, sep="/")}, **inputs)

    outputs = jax.eval_shape(run, weights, inputs)
    cotangents = [draw(precision, *v.shape, seed=i) for i, v in enumerate(outputs)]

    @jax.jit
    def differentiate(weights: dict, inputs: dict) -> tuple[Any, Any]:
        values, pull_back = jax.vjp(run, weights, inputs)
        return values, pull_back([jax.numpy.asarray(c) for c in cotangents])

    values, (grads, input_grads) = differentiate(weights, inputs)

    tensors = {name: tf.constant(x) for name, x in inputs.items()}
    theirs(twin, **tensors)  # which builds the twin
    twin.set_weights(list(weights.values()))
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        their_values = theirs(twin, **tensors)
        total = sum(
            tf.reduce_sum(value * cotangent)
            for value, cotangent in zip(their_values, cotangents, strict=True)
        )
    their_grads, their_input_grads = tape.gradient(
        total,
        ([w.value for w in twin.trainable_weights], tensors),
        unconnected_gradients="zero",
    )
    their_grads = dict(zip(order, map(tf.convert_to_tensor, their_grads), strict=True))

    of_values, of_gradients = TOLERANCE[precision]
    errors = [error(a, b) for a, b in zip(values, their_values, strict=True)]
    assert max(errors) < of_values, errors
    size = max(np.linalg.norm(grad) for grad in grads.values())
    for name in vanishing:
        assert np.linalg.norm(grads.pop(name)) < of_values * size
        assert np.linalg.norm(their_grads.pop(name)) < of_values * size
    errors = {name: error(grads[name], their_grads[name]) for name in grads}
    errors |= {
        f"input {k}": error(input_grads[k], their_input_grads[k]) for k in inputs
    }
    assert max(errors.values()) < of_gradients, errors


# --- Recurrent layers -----------------------------------------------------------------

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


# --- Attention ------------------------------------------------------------------------

HEADS = ("query", "key", "value", "out")
PROJECTIONS = tuple(f"{name}/{w}" for name in HEADS for w in ("kernel", "bias"))
KERNELS = tuple(f"{name}/kernel" for name in HEADS)
# Of queries (5) and keys (6) in a batch of 4: padding, holes, and queries that may
# attend to nothing.
PADDING = np.arange(6) < np.array([6, 3, 1, 0])[:, None]
HOLES = np.random.default_rng(0).random((4, 5, 6)) < 0.5
HOLES[:2, 2] = False
BY_HEAD = np.random.default_rng(1).random((4, 2, 5, 6)) < 0.5

# The attributes that both sides share, then the call. Sizes of keys are powers of 4:
# on TensorFlow, Keras rounds 1 / sqrt(size) to float32, which must not be measured.
ATTENTION = {
    "self": ({}, {}),
    "self, causal": ({}, {"causal": True}),
    "self, one step": ({}, {"time": 1}),
    "cross": ({}, {"key": True}),
    "cross, values": ({"value_size": 3, "out_features": 7}, {"key": True, "v": True}),
    "no bias": ({"use_bias": False}, {"key": True}),
    "padding": ({}, {"key": True, "mask": PADDING[:, None, :]}),
    "holes": ({}, {"key": True, "mask": HOLES}),
    "holes, broadcast": ({}, {"key": True, "mask": HOLES[:1]}),
    "by head": ({}, {"key": True, "mask": BY_HEAD}),
    "causal, holes": ({}, {"key": True, "causal": True, "mask": HOLES}),
    "dropout": ({"dropout_rate": 0.5}, {"key": True, "mask": HOLES}),
    "dropout, causal": ({"dropout_rate": 0.5}, {"causal": True}),
    "dropout, causal, by head": (
        {"dropout_rate": 0.5},
        {"key": True, "causal": True, "mask": BY_HEAD},
    ),
}
THEIR_NAMES = {
    "value_size": "value_dim",
    "out_features": "output_shape",
    "dropout_rate": "dropout",
    "use_bias": "use_bias",
}


@precisions
@pytest.mark.parametrize("name", ATTENTION)
def test_multi_head_attention(name: str, precision: str) -> None:
    options, call = ATTENTION[name]
    their_options = {THEIR_NAMES[k]: v for k, v in options.items()}
    causal, mask = call.get("causal", False), call.get("mask")
    inputs = {"query": draw(precision, 4, call.get("time", 5), 4)}
    if call.get("key"):
        inputs["key"] = draw(precision, 4, 6, 3)
    if call.get("v"):
        inputs["value"] = draw(precision, 4, 6, 5)

    def ours(layer, query, key=None, value=None):
        return [layer(query, key, value, mask=mask, causal=causal)]

    def theirs(twin, query, key=None, value=None):
        key = query if key is None else key
        value = key if value is None else value
        options = {"attention_mask": mask, "use_causal_mask": causal}
        return [twin(query, value, key, training=False, **options)]

    use_bias = options.get("use_bias", True)
    with precise(precision):
        compare(
            nn.MultiHeadAttention(2, 16, **options),
            keras.layers.MultiHeadAttention(2, 16, **their_options),
            PROJECTIONS if use_bias else KERNELS,
            inputs,
            ours,
            theirs,
            precision,
            # The same number added to all scores of a query changes no weight.
            vanishing=("key/bias",) if use_bias else (),
        )


def test_multi_head_attention_of_any_key_size() -> None:
    compare(
        nn.MultiHeadAttention(3, 5),
        keras.layers.MultiHeadAttention(3, 5),
        PROJECTIONS,
        {"x": draw("float32", 2, 7, 4)},
        lambda layer, x: [layer(x)],
        lambda twin, x: [twin(x, x)],
        "float32",
        vanishing=("key/bias",),
    )


ADDITIVE = {
    "plain": {},
    "values": {"value": True},
    "causal": {"causal": True},
    "padding": {"padding": True},
    "padding, queries too": {"padding": True, "queries": True},
    "padding, causal": {"padding": True, "causal": True},
}


@precisions
@pytest.mark.parametrize("name", ADDITIVE)
def test_additive_attention(name: str, precision: str) -> None:
    call = ADDITIVE[name]
    causal = call.get("causal", False)
    real = np.arange(5) < np.array([5, 2, 0, 4])[:, None] if "queries" in call else None
    padding = PADDING if "padding" in call else None
    inputs = {"query": draw(precision, 4, 5, 3), "key": draw(precision, 4, 6, 3)}
    if "value" in call:
        inputs["value"] = draw(precision, 4, 6, 2)

    def ours(layer, query, key, value=None):
        mask = None if padding is None else padding[:, None, :]
        y = layer(query, key, value, mask=mask, causal=causal)
        return [y if real is None else jax.numpy.where(real[..., None], y, 0)]

    def theirs(twin, query, key, value=None):
        value = key if value is None else value
        masks = None if padding is None else [real, padding]
        return [twin([query, value, key], mask=masks, use_causal_mask=causal)]

    with precise(precision):
        compare(
            nn.AdditiveAttention(),
            keras.layers.AdditiveAttention(),
            ("scale",),
            inputs,
            ours,
            theirs,
            precision,
        )


# --- Embedding ------------------------------------------------------------------------


@precisions
@pytest.mark.parametrize("shape", [(3, 5), (4,), (2, 3, 2)])
def test_embedding(shape: tuple[int, ...], precision: str) -> None:
    token = np.random.default_rng(0).integers(-7, 7, size=shape)  # repeats, negatives
    with precise(precision):
        compare(
            nn.Embedding(7, 4),
            keras.layers.Embedding(7, 4),
            ("embedding",),
            {},
            lambda layer: [layer(token)],
            lambda twin: [twin(tf.constant(token))],
            precision,
        )


@precisions
def test_tied_embedding(precision: str) -> None:
    token = np.random.default_rng(0).integers(7, size=(3, 5))
    with precise(precision):
        compare(
            nn.Embedding(7, 4),
            keras.layers.ReversibleEmbedding(7, 4, tie_weights=True),
            ("embedding",),
            {"x": draw(precision, 2, 4)},
            lambda layer, x: [layer(token), layer.attend(x)],
            lambda twin, x: [twin(tf.constant(token)), twin(x, reverse=True)],
            precision,
        )


# --- Where training starts ------------------------------------------------------------

X = np.ones((1, 2, 96), np.float32)
STARTS = {
    "SimpleRNN": (nn.SimpleRNN(64), keras.layers.SimpleRNN(64), WEIGHTS),
    "LSTM": (nn.LSTM(64), keras.layers.LSTM(64), WEIGHTS),
    "GRU": (nn.GRU(64), keras.layers.GRU(64), WEIGHTS),
    "Bidirectional": (
        nn.Bidirectional(nn.LSTM(64)),
        keras.layers.Bidirectional(keras.layers.LSTM(64)),
        BOTH_WAYS,
    ),
    "MultiHeadAttention": (
        nn.MultiHeadAttention(8, 16, 4, 32),
        keras.layers.MultiHeadAttention(8, 16, 4, output_shape=32),
        PROJECTIONS,
    ),
    "AdditiveAttention": (
        nn.AdditiveAttention(),
        keras.layers.AdditiveAttention(),
        ("scale",),
    ),
    "Embedding": (
        nn.Embedding(50, 64),
        keras.layers.Embedding(50, 64),
        ("embedding",),
    ),
}


@pytest.mark.parametrize("name", STARTS)
def test_training_starts_from_keras_distribution(name: str) -> None:
    layer, twin, order = STARTS[name]
    x = np.ones((1, 2), int) if name == "Embedding" else X
    inputs = [x, x] if "Attention" in name else [x]
    twin(inputs) if name == "AdditiveAttention" else twin(*inputs)
    ours = flatten_dict(layer.init(jax.random.key(0), *inputs)["params"], sep="/")
    for path, theirs in zip(order, twin.get_weights(), strict=True):
        a, b = np.asarray(ours[path]), theirs
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        if path.endswith("bias"):
            np.testing.assert_array_equal(a, b)
            continue
        if path.endswith("recurrent_kernel"):  # orthogonal rows of length 1
            for u in (a, b):
                np.testing.assert_allclose(u @ u.T, np.eye(len(u)), atol=1e-5)
            continue
        # Both uniform: the same range, and the same spread within sampling error.
        few = 6 / np.sqrt(a.size)
        assert np.abs(a).max() == pytest.approx(np.abs(b).max(), rel=few)
        assert a.std() == pytest.approx(b.std(), rel=few)
        assert abs(a.mean()) < few * a.std()

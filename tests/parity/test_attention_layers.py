"""Attention and embedding against Keras': outputs and gradients, masks included."""

import jax
import keras
import numpy as np
import pytest
import tensorflow as tf
from layer_pairs import compare, compare_starts, draw, precise, precisions

from fdl import nn

pytestmark = pytest.mark.parity

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


X, TOKEN = np.ones((1, 2, 96), np.float32), np.ones((1, 2), int)
WIDE = np.ones((1, 2, 4096), np.float32)  # for enough numbers in one vector
STARTS = {
    "MultiHeadAttention": (
        nn.MultiHeadAttention(8, 16, 4, 32),
        keras.layers.MultiHeadAttention(8, 16, 4, output_shape=32),
        PROJECTIONS,
        [X, X],
    ),
    "AdditiveAttention": (
        nn.AdditiveAttention(),
        keras.layers.AdditiveAttention(),
        ("scale",),
        [WIDE, WIDE],
    ),
    "Embedding": (
        nn.Embedding(50, 64),
        keras.layers.Embedding(50, 64),
        ("embedding",),
        [TOKEN],
    ),
}


@pytest.mark.parametrize("name", STARTS)
def test_training_starts_from_keras_distribution(name: str) -> None:
    layer, twin, order, inputs = STARTS[name]
    twin(inputs) if name == "AdditiveAttention" else twin(*inputs)
    compare_starts(layer, twin, order, inputs)

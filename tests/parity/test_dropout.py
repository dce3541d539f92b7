"""Dropout: random on both sides, so distributions are compared."""

import jax
import numpy as np
import pytest

from fdl import nn
from fdl.keras import import_model
from lazily import keras

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.5])
def test_count_and_scale_of_kept_values_equal_those_of_keras(rate: float) -> None:
    x = np.random.default_rng(0).normal(size=(100, 200)).astype(np.float32)
    theirs = np.asarray(keras.layers.Dropout(rate)(x, training=True))
    rngs = {"dropout": jax.random.key(0)}
    ours = np.asarray(nn.Dropout(rate).apply({}, x, train=True, rngs=rngs))
    for y in (ours, theirs):
        kept = y != 0
        np.testing.assert_allclose(y[kept], x[kept] / (1 - rate), rtol=1e-6)
        # Five standard deviations of the share of 20,000 values.
        spread = 5 * np.sqrt(rate * (1 - rate) / x.size)
        assert abs(kept.mean() - (1 - rate)) <= spread


def test_does_nothing_outside_training() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_array_equal(nn.Dropout(0.5).apply({}, x), x)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_imported_layers_drop_and_scale_once() -> None:
    """All attention weights are 1 / 100, and each value has its own channel."""
    layers = keras.layers
    x = keras.Input((100, 100), name="x")
    mha = layers.MultiHeadAttention(1, 3, 100, dropout=0.25, use_bias=False)
    nothing = layers.Rescaling(0.0)(x)
    model = keras.Model(
        x,
        {
            "dropout": layers.Dropout(0.25)(x),
            "dot": layers.Attention(dropout=0.25)([nothing, x, nothing]),
            "heads": mha(nothing, x, nothing),
        },
    )
    eye = np.eye(100, dtype=np.float32)
    mha.value_dense.kernel.assign(eye[:, None])
    mha.output_dense.kernel.assign(eye[None])
    ours, variables = import_model(model)
    rngs = {"dropout": jax.random.key(0)}
    found = ours.apply(variables, eye[None], train=True, rngs=rngs)
    for name, size in (("dropout", 1), ("dot", 0.01), ("heads", 0.01)):
        y = np.asarray(found[name])
        kept = y if name != "dropout" else y[0].diagonal()
        np.testing.assert_allclose(kept[kept != 0], size / 0.75, rtol=1e-5)
        far = 5 * np.sqrt(0.25 * 0.75 / kept.size)
        assert abs(np.mean(kept == 0) - 0.25) < far

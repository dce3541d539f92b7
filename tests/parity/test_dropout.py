"""Dropout: random on both sides, so that what is the same is the distribution."""

import jax
import keras
import numpy as np
import pytest

from fdl import nn

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.5])
def test_keeps_as_many_and_as_large_as_keras(rate: float) -> None:
    x = np.random.default_rng(0).normal(size=(100, 200)).astype(np.float32)
    theirs = np.asarray(keras.layers.Dropout(rate)(x, training=True))
    rngs = {"dropout": jax.random.key(0)}
    ours = np.asarray(nn.Dropout(rate).apply({}, x, train=True, rngs=rngs))
    for y in (ours, theirs):
        kept = y != 0
        np.testing.assert_allclose(y[kept], x[kept] / (1 - rate), rtol=1e-6)
        # Five standard deviations of a count of 20,000.
        spread = 5 * np.sqrt(rate * (1 - rate) / x.size)
        assert abs(kept.mean() - (1 - rate)) <= spread


def test_does_nothing_outside_training() -> None:
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_array_equal(nn.Dropout(0.5).apply({}, x), x)

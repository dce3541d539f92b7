"""Position embeddings in every precision."""

import jax.numpy as jnp
import numpy as np
import pytest

from fdl import nn
from fdl.nn import sinusoids


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_sinusoids_are_exact_up_to_the_rounding_of_the_result(dtype) -> None:
    position, features = np.arange(1024), 32
    rate = 10_000.0 ** (-2 * np.arange(features // 2) / features)
    angle = position[:, None] * rate[None]
    exact = np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(1024, features)
    found = np.asarray(sinusoids(jnp.asarray(position), features, dtype))
    assert found.dtype == dtype
    rounding = float(jnp.finfo(dtype).eps) / 2
    assert np.abs(found.astype(np.float64) - exact).max() < rounding + 1e-4
    assert len(np.unique(found, axis=0)) == 1024


def test_positions_are_accurate_in_mixed_precision() -> None:
    layer, x = nn.Positions("sinusoidal", 1), jnp.zeros((1, 1024, 32))
    exact = np.asarray(layer.apply({"params": {}}, x))
    mixed = np.asarray(nn.MixedPrecision(layer).apply({"params": {}}, x))
    assert np.abs(mixed - exact).max() < 0.004

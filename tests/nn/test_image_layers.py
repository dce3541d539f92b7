"""What layers for images keep to, whatever Keras does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import nn
from zoo import draw_variables

LAYERS = {
    "Conv1D": (nn.Conv1D(4, 3, padding="causal"), (7, 2)),
    "Conv2D": (nn.Conv2D(4, (3, 3), dilation=(2, 1), groups=2), (7, 6, 2)),
    "DepthwiseConv2D": (nn.DepthwiseConv2D((3, 2), depth_multiplier=2), (7, 6, 2)),
    "SeparableConv2D": (nn.SeparableConv2D(4, (3, 3)), (7, 6, 2)),
    "Conv2DTranspose": (nn.Conv2DTranspose(4, (3, 3), (2, 2)), (7, 6, 2)),
    "BatchNormalization": (nn.BatchNormalization(), (7, 6, 2)),
    "LayerNormalization": (nn.LayerNormalization(), (7, 6, 4)),
    "GroupNormalization": (nn.GroupNormalization(2), (7, 6, 4)),
    "InstanceNormalization": (nn.InstanceNormalization(), (7, 6, 4)),
}
layers = pytest.mark.parametrize(("layer", "shape"), LAYERS.values(), ids=LAYERS)


def inputs(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def close(a, b, tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@layers
def test_leading_axes_are_batch_axes(layer, shape) -> None:
    x = inputs(2, 3, *shape)
    variables = draw_variables(layer, x)
    apply = jax.jit(lambda x: layer.apply(variables, x))
    whole = apply(x)
    close(whole, apply(x.reshape(6, *shape)).reshape(whole.shape))
    close(whole, jax.vmap(jax.vmap(apply))(x))
    close(whole[0, 0], apply(x[0, 0]))


@layers
def test_no_silent_promotion(layer, shape) -> None:
    x = inputs(2, *shape)
    variables = draw_variables(layer, x)
    with jax.numpy_dtype_promotion("strict"):
        assert jax.eval_shape(layer.apply, variables, x).dtype == jnp.float32
    half = lambda tree: jax.tree.map(lambda a: jnp.asarray(a, jnp.bfloat16), tree)
    found = jax.eval_shape(layer.apply, half(variables), half(x))
    assert found.dtype == jnp.bfloat16


@layers
def test_forward_mode_derivatives(layer, shape) -> None:
    with jax.enable_x64(True):
        x, towards = (inputs(2, *shape, seed=s).astype(float) for s in (0, 1))
        variables = draw_variables(layer, x)
        apply = jax.jit(lambda x: layer.apply(variables, x))
        _, tangent = jax.jvp(apply, (x,), (towards,))
        slope = (apply(x + 1e-5 * towards) - apply(x - 1e-5 * towards)) / 2e-5
        close(tangent, slope, tolerance=1e-7)


def test_batch_statistics_follow_the_data() -> None:
    layer, x = nn.BatchNormalization(momentum=0.5), 3 + 2 * inputs(4000, 1)
    variables = layer.init(jax.random.key(0), x)
    for _ in range(30):
        _, updated = layer.apply(variables, x, train=True, mutable=["batch_stats"])
        variables = {**variables, **updated}
    stats = variables["batch_stats"]
    close(stats["mean"], x.mean(axis=0))
    close(stats["var"], x.var(axis=0))
    y = layer.apply(variables, x)
    assert abs(float(y.mean())) < 1e-4
    assert abs(float(y.std()) - 1) < 1e-3


def test_variance_of_large_numbers() -> None:
    """One pass over the data would lose it: in float32, 1e4 squared holds no ones."""
    x = 1e4 + inputs(1000, 1)
    layer = nn.BatchNormalization()
    variables = layer.init(jax.random.key(0), x)
    y, _ = layer.apply(variables, x, train=True, mutable=["batch_stats"])
    assert abs(float(y.std()) - 1) < 1e-2


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.Conv2D(4, (3, 3)), (2, 2, 1), "does not fit"),
        (nn.Conv2D(3, (1, 1), groups=2), (4, 4, 4), "groups=2"),
        (nn.Conv1D(3, 5), (4, 1), "does not fit"),
        (nn.GroupNormalization(3), (4, 4, 4), "3"),
    ],
)
def test_refuses_bad_options(layer, shape, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer.init(jax.random.key(0), inputs(2, *shape))

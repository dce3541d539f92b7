"""Properties of image layers that do not depend on Keras."""

import flax.linen as linen
import jax
import numpy as np
import pytest

from closeness import close
from fdl import nn


def inputs(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


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
    """A one-pass variance would fail: in float32, 1e8 + 1 is 1e8."""
    x = 1e4 + inputs(1000, 1)
    layer = nn.BatchNormalization()
    variables = layer.init(jax.random.key(0), x)
    y, _ = layer.apply(variables, x, train=True, mutable=["batch_stats"])
    assert abs(float(y.std()) - 1) < 1e-2


def test_groups_of_large_numbers_and_in_half_precision() -> None:
    far = {np.float32: 1e4, np.float16: 300}
    for layer in (nn.GroupNormalization(2), nn.InstanceNormalization()):
        for dtype, start in far.items():
            x = (start + inputs(2, 40, 40, 4)).astype(dtype)
            variables = jax.tree.map(dtype, layer.init(jax.random.key(0), x))
            y = np.asarray(layer.apply(variables, x))
            assert y.dtype == dtype
            y = y.astype(float)
            assert abs(y.mean((1, 2))).max() < 0.2
            assert abs(y.std((1, 2)) - 1).max() < 0.2


def test_groups_are_those_of_linen() -> None:
    x = inputs(2, 3, 4, 5, 8)
    for axes in (None, (-4, -3, -2, -1), (-2, -1), (-3, -1)):
        options = {"num_groups": 2, "epsilon": 0.1, "reduction_axes": axes}
        variables = {"params": {"scale": inputs(8), "bias": inputs(8, seed=1)}}
        wanted = linen.GroupNorm(**options).apply(variables, x)
        close(nn.GroupNormalization(**options).apply(variables, x), wanted)


def test_groups_without_scale_and_bias() -> None:
    layer = nn.GroupNormalization(2, epsilon=0.0, use_scale=False, use_bias=False)
    y, variables = layer.init_with_output(jax.random.key(0), inputs(2, 4, 4, 4))
    assert not variables
    close(np.mean(y**2, axis=(1, 2, 3)), np.ones(2))


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.Conv2D(4, (3, 3)), (2, 2, 1), "does not fit"),
        (nn.Conv2D(3, (1, 1), groups=2), (4, 4, 4), "groups=2"),
        (nn.Conv1D(3, 5), (4, 1), "does not fit"),
        (nn.GroupNormalization(3), (4, 4, 4), "num_groups=3 does not divide .*, 4"),
        (
            nn.GroupNormalization(2, reduction_axes=(-3, -2)),
            (4, 4, 4),
            r"reduction_axes=\(-3, -2\) must include -1",
        ),
        # An axis must not wrap around to that of the batch.
        (nn.GroupNormalization(2), (4,), r"do not fit an input of shape \(2, 4\)"),
        (
            nn.Conv2D(3, (1, 1), kernel_init="he"),
            (4, 4, 4),
            "no initializer 'he';",
        ),
    ],
)
def test_layers_refuse_invalid_options(layer, shape, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layer.init(jax.random.key(0), inputs(2, *shape))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: nn.reflection_pad(x, ((0, 4), (0, 0))), "is 4 pixels high"),
        (lambda x: nn.reflection_pad(x, 5), "4 pixels high"),
        (lambda x: nn.reflection_pad(x, ((0, 0), (5, 0))), "is 5 pixels wide"),
        (lambda x: nn.reflection_pad(x, -1), "at least 0"),
        (lambda x: nn.local_response_norm(x, size=4), "size=4 must be odd"),
        (lambda x: nn.local_response_norm(x, k=0.0), "k=0.0 must be"),
        (lambda x: nn.local_response_norm(x, beta=-1.0), "beta=-1.0 must be"),
    ],
)
def test_functions_refuse_invalid_options(function, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        function(inputs(4, 5, 1))

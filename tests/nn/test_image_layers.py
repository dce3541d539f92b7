"""Properties of image layers that do not depend on Keras."""

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


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.Conv2D(4, (3, 3)), (2, 2, 1), "does not fit"),
        (nn.Conv2D(3, (1, 1), groups=2), (4, 4, 4), "groups=2"),
        (nn.Conv1D(3, 5), (4, 1), "does not fit"),
        (nn.GroupNormalization(3), (4, 4, 4), "3"),
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

"""Famous networks: parameters as in their papers, image sizes, features and heads."""

import functools

import jax
import numpy as np
import pytest

from fdl import models
from fdl.models.lenet import CONNECTIONS
from fdl.models.sizes import sizes

COUNTS = {  # model, (pixels, channels) of images, parameters of each part
    "LeNet5": (models.LeNet5(10), (32, 1), {"all": 60_850 + 900, "f6": 10_164}),
    "LeNet5, modern": (models.LeNet5(10, modern=True), (32, 1), {"all": 61_706}),
    "AlexNet": (
        models.AlexNet(1000),
        (227, 3),
        {"all": 60_965_224, "conv2": 307_456, "fc6": 37_752_832},
    ),
    "AlexNetOneColumn": (
        models.AlexNetOneColumn(1000),
        (224, 3),
        {"all": 61_100_840},
    ),
    "GoogLeNet": (
        models.GoogLeNet(1000),
        (224, 3),
        {
            "all": 13_378_280,
            "auxiliary1": 3_188_840,
            "auxiliary2": 3_190_888,
            "inception3a": 163_696,
            "inception5b": 1_444_080,
        },
    ),
    "GoogLeNet, one head": (
        models.GoogLeNet(1000, auxiliary=()),
        (224, 3),
        {"all": 6_998_552},
    ),
}


def traced(model, *shape, **how):
    """Return the shapes of a model's outputs for an image, and of its variables."""
    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    start = functools.partial(model.init_with_output, keys, **how)
    return jax.eval_shape(start, np.zeros((1, *shape), np.float32))


def shapes_of(model, *shape):
    return traced(model, *shape)[1]


@pytest.mark.parametrize("name", COUNTS)
def test_number_of_parameters(name) -> None:
    model, image, counts = COUNTS[name]
    pixels, channels = image
    params = shapes_of(model, pixels, pixels, channels)["params"]
    count = lambda tree: sum(x.size for x in jax.tree.leaves(tree))
    assert {part: count(params.get(part, params)) for part in counts} == counts


def test_the_connection_table_masks_the_missing_connections_of_the_paper() -> None:
    assert CONNECTIONS.sum(axis=0).tolist() == [3] * 6 + [4] * 9 + [6]
    assert CONNECTIONS.sum(axis=1).tolist() == [10] * 6
    assert 25 * (~CONNECTIONS).sum() == 900


SMALL = {"widths": (4, 4, 4, 4, 4), "hidden_size": 4}


@pytest.mark.parametrize(
    ("model", "smallest"),
    [
        (models.LeNet5(10), 32),
        (models.LeNet5(10, border=3), 26),
        (models.AlexNet(10, **SMALL), 67),
        (models.AlexNetOneColumn(10, **SMALL), 63),
        (models.GoogLeNet(10), 65),
    ],
)
def test_images_that_are_too_small_are_refused(model, smallest) -> None:
    assert sizes(model)[0].smallest == smallest
    channels = 2 * (1 + isinstance(model, models.GoogLeNet))
    shapes_of(model, smallest, smallest + 5, channels)
    with pytest.raises(ValueError, match=f"not {smallest}x{smallest - 1}: resize"):
        shapes_of(model, smallest, smallest - 1, channels)


@pytest.mark.parametrize(
    ("model", "strides"),
    [
        (models.LeNet5(10), [1, 2, 4]),
        (models.AlexNet(10, **SMALL), [4, 8, 16, 32]),
        (models.GoogLeNet(10), [2, 4, 8, 16, 32]),
    ],
)
def test_features_by_stride(model, strides) -> None:
    stages, variables = traced(model, 96, 96, 1, method="features")
    assert list(stages) == sorted(stages) == strides
    last = stages[strides[-1]].shape
    # test_backbones.py shows the other ends of models without a top.
    bare = model.clone(include_top=False, pooling="max")
    found, parts = traced(bare, 96, 96, 1)
    assert found.shape == (1, last[-1])
    assert parts["params"].keys() == variables["params"].keys()


def test_heads_are_returned_in_training() -> None:
    for auxiliary, heads in ((("4a", "4d"), 3), ((), 1)):
        model = models.GoogLeNet(10, auxiliary=auxiliary)
        found, _ = traced(model, 65, 65, 1, train=True)
        assert [y.shape for y in jax.tree.leaves(found)] == [(1, 10)] * heads


def test_refuses_a_head_after_an_unknown_module() -> None:
    with pytest.raises(ValueError, match="'4f', which is not a module; choose from 3a"):
        shapes_of(models.GoogLeNet(10, auxiliary=("4a", "4f")), 65, 65, 1)

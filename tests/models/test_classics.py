"""Networks that are famous have as many parameters as their papers say."""

import jax
import numpy as np
import pytest

from fdl import models
from fdl.models.lenet import CONNECTIONS
from fdl.models.sizes import sizes

COUNTS = {  # on images of which size, and of a part
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


def shapes_of(model, pixels, channels):
    image = np.zeros((1, pixels, pixels, channels), np.float32)
    return jax.eval_shape(model.init, jax.random.key(0), image)


@pytest.mark.parametrize("name", COUNTS)
def test_number_of_parameters(name) -> None:
    model, image, counts = COUNTS[name]
    params = shapes_of(model, *image)["params"]
    count = lambda tree: sum(x.size for x in jax.tree.leaves(tree))
    assert {part: count(params.get(part, params)) for part in counts} == counts


def test_the_connection_table_masks_what_the_paper_does_not_count() -> None:
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
def test_sizes_of_images(model, smallest) -> None:
    assert sizes(model)[0].smallest == smallest
    channels = 2 * (1 + isinstance(model, models.GoogLeNet))
    shapes_of(model, smallest, channels)
    shapes_of(model, smallest + 5, channels)
    with pytest.raises(ValueError, match=f"not {smallest - 1}x{smallest - 1}: resize"):
        shapes_of(model, smallest - 1, channels)


@pytest.mark.parametrize(
    ("model", "strides"),
    [
        (models.LeNet5(10), [1, 2, 4]),
        (models.AlexNet(10, **SMALL), [4, 8, 16, 32]),
        (models.GoogLeNet(10), [2, 4, 8, 16, 32]),
    ],
)
def test_features_by_stride(model, strides) -> None:
    image = np.zeros((2, 96, 96, 1), np.float32)
    key = jax.random.key(0)
    variables = jax.eval_shape(model.init, key, image)
    found = lambda model, **how: jax.eval_shape(
        lambda variables: model.apply(variables, image, **how), variables
    )
    stages = found(model, method="features")
    assert list(stages) == sorted(stages) == strides
    last = stages[strides[-1]].shape
    bare = model.clone(include_top=False)
    assert set(jax.eval_shape(bare.init, key, image)["params"]) < set(
        variables["params"]
    )
    assert found(bare).shape == last
    assert found(bare.clone(pooling="max")).shape == (2, last[-1])


def test_heads_are_returned_in_training() -> None:
    model = models.GoogLeNet(10)
    image = np.zeros((2, 65, 65, 1), np.float32)
    variables = shapes_of(model, 65, 1)
    key = jax.random.key(0)
    call = lambda variables: model.apply(
        variables, image, train=True, rngs={"dropout": key}
    )
    assert [y.shape for y in jax.eval_shape(call, variables)] == [(2, 10)] * 3
    alone = model.clone(auxiliary=())
    call = lambda variables: alone.apply(
        variables, image, train=True, rngs={"dropout": key}
    )
    assert jax.eval_shape(call, variables).shape == (2, 10)


def test_refuses_a_head_after_no_module() -> None:
    with pytest.raises(ValueError, match="'4f', which is not among the modules: 3a"):
        shapes_of(models.GoogLeNet(10, auxiliary=("4a", "4f")), 65, 1)

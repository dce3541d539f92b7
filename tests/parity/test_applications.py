"""Some models of `keras.applications`; `fdl parity --large` measures all of them."""

from typing import Any

import jax
import numpy as np
import pytest

from fdl import models
from fdl.keras import from_keras
from lazily import Lazily, keras
from parity import ladder
from parity.applications import application
from parity.sides import Subject

applications = Lazily("keras.src.applications")
pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.mark.parametrize(
    ("name", "levels"), [("MobileNet", (0, 2)), ("MobileNetV3Small", (0, 1))]
)
def test_an_imported_model_is_the_same_function(name: str, levels: tuple) -> None:
    # In double precision, rounding cannot hide a wrong formula.
    subject = application(name, levels, alpha=0.25)
    for rung in ladder.climb(subject, "float64"):
        assert rung.passed, rung


def test_what_a_layer_counts_while_it_adapts_is_no_weight() -> None:
    # As in EfficientNet, whose images are normalized inside the model.
    twin = lambda: keras.Sequential(
        [keras.Input((3,)), keras.layers.Normalization(), keras.layers.Dense(2)]
    )
    image = np.ones((2, 3), np.float32)
    subject = Subject("normalized", None, twin, (image,), levels=(0,))
    (rung,) = ladder.climb(subject, "float32")
    assert rung.passed, rung


def resnet(form: str, *, preact: bool) -> Any:
    """Return a residual network of Keras' own blocks, with fewer blocks."""
    stack = getattr(applications.resnet, f"stack_residual_blocks_{form}")

    def stages(x: Any) -> Any:
        x = stack(x, 64, DEPTHS[0], stride1=1, name="conv2")
        return stack(x, 128, DEPTHS[1], name="conv3")

    return applications.resnet.ResNet(stages, preact, use_bias=True, **SMALL)


SMALL = {"weights": None, "input_shape": (32, 32, 3), "classes": 3}
DEPTHS = (2, 2)
WRITTEN = {
    "densenet": (
        models.DenseNet121(3, block_sizes=(2, 1, 1, 1)),
        lambda: applications.densenet.DenseNet((2, 1, 1, 1), **SMALL),
    ),
    "resnet": (
        models.ResNet50(3, stage_sizes=DEPTHS),
        lambda: resnet("v1", preact=False),
    ),
    "resnet-v2": (
        models.ResNet50V2(3, stage_sizes=DEPTHS),
        lambda: resnet("v2", preact=True),
    ),
    "vgg": (models.VGG16(3), lambda: keras.applications.VGG16(**SMALL)),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_models_of_fdl_take_the_weights_of_keras(name: str) -> None:
    # Level 0: arrays are matched by the names of Keras' layers. test_backbones.py
    # counts them at full depth, test_models.py compares small variants at higher
    # levels, and `fdl parity --large` compares all models.
    model, twin = WRITTEN[name]
    twin = twin()
    found = from_keras(model, twin)
    assert sum(x.size for x in jax.tree.leaves(found)) == twin.count_params()

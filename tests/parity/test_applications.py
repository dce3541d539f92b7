"""Two models of `keras.applications`; `fdl parity --large` measures all of them."""

import jax
import pytest

from fdl import models
from fdl.keras import from_keras
from lazily import keras
from parity import ladder
from parity.applications import application

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.mark.parametrize(
    ("name", "levels"), [("MobileNet", (0, 1, 2)), ("MobileNetV3Small", (0, 1))]
)
def test_an_imported_model_is_the_same_function(name: str, levels: tuple) -> None:
    # In double precision, no wrong formula can hide behind rounding.
    subject = application(name, levels, alpha=0.25)
    for rung in ladder.climb(subject, "float64"):
        assert rung.passed, rung


def test_models_of_fdl_are_those_of_keras() -> None:
    # Level 0: every array has its place. What they compute, the small forms show in
    # test_models.py, and `fdl parity --large` all of them.
    for name in ("DenseNet121", "ResNet50", "ResNet50V2", "VGG16"):
        twin = getattr(keras.applications, name)(
            weights=None, input_shape=(32, 32, 3), classes=3
        )
        found = from_keras(getattr(models, name)(3), twin)
        assert sum(x.size for x in jax.tree.leaves(found)) == twin.count_params()

"""Whole models against their Keras twins on TensorFlow."""

import pytest

from parity import ladder
from parity.subjects import MODELS

pytestmark = pytest.mark.parity

# Level 2 and test_optimizers.py imply levels 3 and 4, since an optimizer sees nothing
# but arrays; what could come between, such as running statistics from step to step,
# this one shows. `fdl parity` climbs all levels with all models.
TRAINED = "dcgan-generator"  # convolutions and batch normalization


# Attention has another form in single precision. Of all others, test_layers.py and the
# law that nothing is promoted imply what double precision shows.
SINGLE = {"language-model", "transformer"}


@pytest.mark.parametrize(
    ("name", "precision"),
    [(name, "float64") for name in MODELS]
    + [(name, "float32") for name in MODELS if name in SINGLE],
)
def test_functions(name: str, precision: str) -> None:
    (subject,) = MODELS[name]()
    # In double precision, no wrong formula can hide behind rounding.
    trained = name == TRAINED
    rungs = ladder.climb(subject, precision, range(5 if trained else 3))
    assert [rung.level for rung in rungs] == list(range(5 if trained else 3))
    for rung in rungs:
        assert rung.passed, rung

"""Layers against Keras' on TensorFlow: levels 0 to 3, over the table in layers.py."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parity import ladder, sequence_layers  # noqa: F401  (it adds rows)
from parity.layers import LAYERS, ONLY_SINGLE
from parity.pick import Hypothesis, Seeded

pytestmark = pytest.mark.parity
layers = pytest.mark.parametrize(
    ("name", "precision"),
    [(name, "float32") for name in LAYERS]
    + [(name, "float64") for name in LAYERS if name not in ONLY_SINGLE],
)
several = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@layers
@several
@given(st.data())
def test_levels_0_to_2(name: str, precision: str, data: st.DataObject) -> None:
    subject = LAYERS[name](Hypothesis(data))
    for level in (0, 1, 2):
        rung = ladder.climb(subject, precision, level)
        assert rung.passed, rung


@layers
def test_level_3(name: str, precision: str) -> None:
    subject = LAYERS[name](Seeded(0))
    if 3 in ladder.levels(subject):
        rung = ladder.climb(subject, precision, level=3)
        assert rung.passed, rung

"""Layers against Keras' on TensorFlow: levels 0 to 3, over the table in layers.py."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parity import ladder, sequence_layers  # noqa: F401  (it adds rows)
from parity.layers import LAYERS, ONLY_SINGLE
from parity.pick import Hypothesis, Seeded
from parity.sides import Subject

pytestmark = pytest.mark.parity
DOUBLE = [name for name in LAYERS if name not in ONLY_SINGLE]


def examples(number: int) -> settings:
    return settings(
        max_examples=number,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def climb(subject: Subject, precision: str, *levels: int) -> None:
    for level in levels:
        rung = ladder.climb(subject, precision, level)
        assert rung.passed, rung


# No wrong formula can hide behind rounding in double precision, so that is where shapes
# and options are many, and steps are made; `fdl parity` does all in both.
@pytest.mark.parametrize("name", DOUBLE)
@examples(4)
@given(st.data())
def test_levels_0_to_2_in_double(name: str, data: st.DataObject) -> None:
    climb(LAYERS[name](Hypothesis(data)), "float64", 0, 1, 2)


@pytest.mark.parametrize("name", LAYERS)
@examples(2)
@given(st.data())
def test_levels_0_to_2_in_single(name: str, data: st.DataObject) -> None:
    climb(LAYERS[name](Hypothesis(data)), "float32", 0, 1, 2)


@pytest.mark.parametrize("name", LAYERS)
def test_level_3(name: str) -> None:
    subject = LAYERS[name](Seeded(0))
    if 3 in ladder.levels(subject):
        climb(subject, "float64" if name in DOUBLE else "float32", 3)

"""Whole models against their Keras twins on TensorFlow: every level of the ladder."""

import pytest

from parity import ladder
from parity.subjects import MODELS

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("level", [0, 1, 2, 3, 4])
def test_level(name: str, precision: str, level: int) -> None:
    rung = ladder.climb(MODELS[name](), precision, level)
    assert rung.passed, rung

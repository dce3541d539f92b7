"""Whole models against their Keras twins on TensorFlow: every level of the ladder."""

import pytest

from parity import ladder
from parity.subjects import MODELS

pytestmark = pytest.mark.parity
models = pytest.mark.parametrize("name", MODELS)


def climb(name: str, precision: str, level: int) -> None:
    rung = ladder.climb(MODELS[name](), precision, level)
    assert rung.passed, rung


@models
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("level", [0, 1, 2])
def test_functions(name: str, precision: str, level: int) -> None:
    climb(name, precision, level)


# In double precision, where no wrong formula can hide; `fdl parity` does both.
@models
def test_steps(name: str) -> None:
    climb(name, "float64", level=3)


# `fdl parity` makes a whole epoch of each, test_loss_curve.py one of the CNN.
@models
def test_first_steps_of_an_epoch(name: str, monkeypatch) -> None:
    monkeypatch.setitem(ladder.STEPS, "float64", 20)
    climb(name, "float64", level=4)

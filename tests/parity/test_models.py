"""Whole models against their Keras twins on TensorFlow: every level of the ladder."""

import jax
import numpy as np
import pytest

from fdl.keras import from_keras
from parity import ladder
from parity.subjects import MODELS
from zoo import ZOO, Case

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("level", [0, 1, 2, 3, 4])
def test_level(name: str, precision: str, level: int) -> None:
    rung = ladder.climb(MODELS[name](), precision, level)
    assert rung.passed, rung


@pytest.mark.parametrize("case", ZOO, ids=lambda case: case.name)
def test_training_starts_from_keras_distribution(case: Case) -> None:
    model = case.make()
    ours = model.init(jax.random.key(0), case.inputs(1))["params"]
    theirs = from_keras(model, case.keras_twin())["params"]
    for layer in ours:
        np.testing.assert_array_equal(ours[layer]["bias"], theirs[layer]["bias"])
        a, b = np.ravel(ours[layer]["kernel"]), np.ravel(theirs[layer]["kernel"])
        # Both uniform: the same range, and the same spread within sampling error.
        few = 6 / np.sqrt(a.size)
        assert np.abs(a).max() == pytest.approx(np.abs(b).max(), rel=few)
        assert a.std() == pytest.approx(b.std(), rel=few)

"""Metrics and predictions of a state."""

import jax
import numpy as np
import pytest
from test_fit import make_data, make_learner

import fdl


@pytest.fixture(scope="module")
def initialized():
    learner = make_learner()
    return learner, learner.init(jax.random.key(0), make_data())


def test_evaluation_does_not_depend_on_the_batch_size(initialized) -> None:
    data = make_data()
    whole = fdl.evaluate(*initialized, data, batch_size=50)
    for batch_size in (1, 7, 49, 1000):
        parts = fdl.evaluate(*initialized, data, batch_size=batch_size)
        assert parts["accuracy"] == whole["accuracy"]
        assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-6)


def test_predictions_are_probabilities_that_agree_with_evaluate(initialized) -> None:
    data = make_data()
    output = fdl.predict(*initialized, data.image, batch_size=7)
    assert isinstance(output, np.ndarray)
    np.testing.assert_allclose(output.sum(axis=-1), 1, rtol=1e-5)
    accuracy = (output.argmax(axis=-1) == data.label).mean()
    assert fdl.evaluate(*initialized, data)["accuracy"] == pytest.approx(accuracy)
    np.testing.assert_allclose(
        output,
        fdl.predict(*initialized, data.image, batch_size=50),
        rtol=1e-5,
        atol=1e-7,
    )


def test_evaluation_applies_no_dropout() -> None:
    learner = make_learner(dropout_rate=0.9)
    state = learner.init(jax.random.key(0), make_data())
    first = fdl.evaluate(learner, state, make_data())
    other = state._replace(key=jax.random.key(7))
    assert fdl.evaluate(learner, other, make_data()) == first


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_size_below_1_is_refused(initialized, size) -> None:
    learner, state = initialized
    data = make_data()
    with pytest.raises(ValueError, match=f"batch_size={size} must be at least 1"):
        fdl.evaluate(learner, state, data, batch_size=size)
    with pytest.raises(ValueError, match=f"batch_size={size} must be at least 1"):
        fdl.predict(learner, state, data.image, batch_size=size)

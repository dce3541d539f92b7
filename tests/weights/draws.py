"""Distinct variables for models, and checks that files keep or refuse them."""

import jax
import numpy as np
import pytest
from look_alikes import Blocks, Words

from fdl import models
from fdl.keras import WeightsError, load_weights

CNN_INPUT = np.zeros((1, 28, 28, 1), np.float32)
MODELS = {  # by name: model, example input
    "cnn": (models.CNN(10), CNN_INPUT),
    "mlp": (models.MLP(10, hidden_sizes=(16, 16), dropout_rate=0.5), CNN_INPUT),
    "words": (Words(), np.zeros((1, 7), np.int32)),
    "blocks": (Blocks(), np.zeros((1, 9, 9, 4), np.float32)),
}


def draw(model, *inputs, dtype="float32", seed=0):
    """Draw variables whose numbers are all distinct, one of them NaN."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(model.init, jax.random.key(0), *inputs)
    variables = jax.tree.map(lambda s: rng.normal(size=s.shape).astype(dtype), shapes)
    jax.tree.leaves(variables)[0].flat[0] = np.nan
    return variables


def same(a, b) -> None:
    """Assert that trees are equal bit for bit."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for one, two in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        one, two = np.asarray(one), np.asarray(two)
        assert (one.dtype, one.shape) == (two.dtype, two.shape)
        assert one.tobytes() == two.tobytes()


SMALL = models.MLP(3, hidden_sizes=(4,))
SMALL_INPUT = np.zeros((1, 3, 3, 1), np.float32)
SMALL_VARIABLES = draw(SMALL, SMALL_INPUT)


def refuse(path, message: str, *inputs) -> None:
    """Assert that the small model refuses a file, with its path and `message`."""
    with pytest.raises(WeightsError, match=message) as caught:
        load_weights(path, SMALL, *inputs)
    assert str(path) in str(caught.value)

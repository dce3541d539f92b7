"""The tutorial's script has the same loss at every step in Keras and in fdl."""

import numpy as np
import pytest

import fdl
from bench import loss_curve
from fdl import data

STEPS, EXAMPLES = 10, 4  # of an epoch, and of each of its batches, to save time
pytestmark = [pytest.mark.parity, pytest.mark.full_mnist]


def test_ten_steps_on_digits(full_data_dir) -> None:
    mnist = data.load("mnist", data_dir=full_data_dir, validation=None)
    epoch = list(loss_curve.batches(STEPS * 64, mnist.train, "float64"))
    epoch = [fdl.Batch(*(x[:EXAMPLES] for x in batch)) for batch in epoch]
    options, ours, _ = loss_curve.OPTIMIZERS["Adam"]
    start, keras = loss_curve.keras_losses(epoch, "Adam", options, compiled=False)
    assert len(keras) == STEPS
    assert keras[-1] < 2.2, "the model must have learned something"
    found = loss_curve.fdl_losses(epoch, ours(**options), start)
    difference = loss_curve.difference({"Keras": keras, "fdl": found}, "fdl")
    assert difference.max() < 1e-6  # losses are float32
    # The epsilon of optax' Adam: Keras with it is compared, which compiles faster.
    other = {**options, "epsilon": 1e-8}
    _, optax = loss_curve.keras_losses(epoch, "Adam", other, compiled=False)
    difference = loss_curve.difference({"Keras": keras, "optax": optax}, "optax")
    assert np.max(difference) > 1e-3, "the comparison must detect optax' epsilon"

"""Connectionist temporal classification compared with Keras."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import losses
from lazily import keras, tf

CLASSES = 5

pytestmark = pytest.mark.parity


def sequences(rng, precision):
    """Draw logits and labels of different lengths, one with a repeated class."""
    outputs = 3 * rng.normal(size=(6, 12, CLASSES)).astype(precision)
    targets = rng.integers(1, CLASSES, size=(6, 5)).astype(np.int32)
    targets[1, 2] = targets[1, 1]
    for row, length in enumerate([5, 4, 3, 1, 0, 5]):
        targets[row, length:] = 0
    return outputs, targets


# On TensorFlow, Keras always computes this loss in single precision.
@pytest.mark.parametrize("lengths", [None, [12, 11, 9, 6, 12, 10]], ids=str)
def test_ctc(lengths) -> None:
    rng = np.random.default_rng(0)
    outputs, targets = sequences(rng, np.float32)
    cotangent = rng.normal(size=6).astype(np.float32)
    steps = None if lengths is None else np.asarray(lengths, np.int32)
    with tf.GradientTape() as tape:
        x = tf.constant(outputs)
        tape.watch(x)
        if steps is None:
            wanted = keras.losses.ctc(targets, x)
        else:
            count = np.sum(targets != 0, axis=-1).astype(np.int32)
            wanted = keras.ops.ctc_loss(targets, x, count, steps)
    slope = tape.gradient(wanted, x, output_gradients=tf.constant(cotangent))
    loss = functools.partial(losses.ctc, lengths=steps)
    found, pull = jax.vjp(lambda x: loss(x, targets), jnp.asarray(outputs))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    np.testing.assert_allclose(pull(jnp.asarray(cotangent))[0], slope, atol=1e-5)

"""Label smoothing of fdl's own cross entropy compared with Keras' class."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import losses
from lazily import keras, tf

CLASSES = 5

pytestmark = pytest.mark.parity


@pytest.mark.parametrize("label_smoothing", [0.1, 0.9])
@pytest.mark.parametrize("sparse", [True, False])
def test_label_smoothing_of_cross_entropy(label_smoothing, sparse) -> None:
    rng = np.random.default_rng(0)
    x = 5 * rng.normal(size=(30, CLASSES)).astype(np.float32)
    x.flat[::7], x.flat[3::7] = 1000, -1000
    label = rng.integers(CLASSES, size=30)
    hot = np.eye(CLASSES, dtype=np.float32)[label]
    reference = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=label_smoothing, reduction=None
    )
    with tf.GradientTape() as tape:
        logits = tf.constant(x)
        tape.watch(logits)
        wanted = reference(hot, logits)
    target = label.astype(np.int32) if sparse else hot
    loss = functools.partial(losses.cross_entropy, label_smoothing=label_smoothing)
    found, pull = jax.vjp(lambda x: loss(x, target), x)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    slope = tape.gradient(wanted, logits)
    np.testing.assert_allclose(pull(jnp.ones(30))[0], slope, atol=1e-6)

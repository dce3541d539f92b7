"""Activations compared with Keras' on TensorFlow, also where their pieces meet."""

import math

import jax
import numpy as np
import pytest

from fdl.nn import activations
from lazily import keras, tf
from parity.ladder import error

pytestmark = pytest.mark.parity
TOLERANCE = {"float32": 1e-6, "float64": 1e-10}

# Values where pieces of some function meet, integers, and others.
SEAMS = [-6.0, -3.0, -2.5, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 2.5, 3.0, 6.0]
VALUES = np.random.default_rng(0).permutation([*SEAMS, *np.linspace(-5.3, 5.1, 36)])

ARGUMENTS = {"threshold": (0.5, -1.0), "leaky_relu": (0.25,)}
# TensorFlow rounds the square root of 2 to float32, in gelu of any precision.
ONLY_SINGLE = {"gelu"}
# Keras on TensorFlow adds the derivatives of both pieces of celu where they meet.
CONTINUOUS = {"celu": VALUES[VALUES != 0]}


@pytest.mark.parametrize(
    ("name", "precision"),
    [(name, "float32") for name in activations.__all__]
    + [(name, "float64") for name in activations.__all__ if name not in ONLY_SINGLE],
)
def test_activation(name: str, precision: str) -> None:
    arguments = ARGUMENTS.get(name, ())
    x = CONTINUOUS.get(name, VALUES).astype(precision)
    x = x[: len(x) // 6 * 6].reshape(-1, 6)
    theirs_in = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(theirs_in)
        theirs = getattr(keras.activations, name)(theirs_in, *arguments)
        weights = np.cos(np.arange(math.prod(theirs.shape))).reshape(theirs.shape)
        total = tf.reduce_sum(theirs * weights.astype(precision))

    @jax.jit
    def value_and_gradient(x, weights):
        apply = lambda x: getattr(activations, name)(x, *arguments)
        y, pull_back = jax.vjp(apply, x)
        return y, *pull_back(weights)

    with jax.enable_x64(precision == "float64"):
        ours, gradient = value_and_gradient(x, weights.astype(precision))
    assert ours.dtype == precision
    assert error(ours, theirs) < TOLERANCE[precision]
    assert error(gradient, tape.gradient(total, theirs_in)) < TOLERANCE[precision]


def test_defaults_are_those_of_keras() -> None:
    x = np.linspace(-2, 2, 9, dtype=np.float32)
    for name in ("gelu", "leaky_relu", "elu", "celu", "hard_shrink", "soft_shrink"):
        wanted = getattr(keras.activations, name)(tf.constant(x))
        np.testing.assert_allclose(
            getattr(activations, name)(x), wanted, rtol=1e-6, atol=1e-7, err_msg=name
        )


def test_all_activations_of_keras_but_sparsemax_exist() -> None:
    theirs = {name for name in dir(keras.activations) if not name.startswith("_")}
    others = {"get", "serialize", "deserialize", "swish", "hard_swish"}
    assert theirs - set(activations.__all__) - others == {"sparsemax"}


def test_sparsemax_of_keras_does_not_sum_to_one() -> None:
    """Why fdl has none: if this test fails, Keras was fixed, and fdl can follow."""
    total = tf.reduce_sum(keras.activations.sparsemax(tf.constant([[1.0, 0.8, -1.0]])))
    assert abs(float(total) - 1) > 0.5


def test_gelu_in_double_precision() -> None:
    with jax.enable_x64(True):
        ours = activations.gelu(VALUES)
    wanted = [x * (1 + math.erf(x / math.sqrt(2))) / 2 for x in VALUES]
    np.testing.assert_allclose(ours, wanted, rtol=1e-13, atol=1e-14)

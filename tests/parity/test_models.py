"""Whole models against their Keras twins on TensorFlow: levels 0, 1 and 2.

The error of an array is ||ours - theirs|| / ||theirs||, and every array counts.
"""

import contextlib

import jax
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras_weights import by_name, copy_to_keras
from zoo import ZOO, Case

from fdl.losses import cross_entropy

TOLERANCE = {  # by precision and level
    ("float32", 1): 1e-5,
    ("float32", 2): 1e-4,
    ("float64", 1): 1e-10,
    ("float64", 2): 1e-9,
}

pytestmark = pytest.mark.parity
models = pytest.mark.parametrize("case", ZOO, ids=lambda case: case.name)
precisions = pytest.mark.parametrize("precision", ["float32", "float64"])


def error(ours, theirs) -> float:
    assert np.shape(ours) == np.shape(theirs)
    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs))


def set_precision(precision: str) -> None:
    keras.config.set_floatx(precision)
    keras.config.set_dtype_policy(precision)  # it keeps the first float type otherwise


@contextlib.contextmanager
def twins(case: Case, precision: str):
    """Yield model, parameters, inputs and twin, all in one precision."""
    assert keras.backend.backend() == "tensorflow"
    set_precision(precision)
    try:
        with jax.enable_x64(precision == "float64"):
            cast = lambda x: x.astype(precision)
            params = jax.tree.map(cast, case.variables()["params"])
            twin = case.keras_twin()
            copy_to_keras(params, twin)
            yield case.make(), params, cast(case.inputs(5)), twin
    finally:
        set_precision("float32")


@models
def test_level_0_parameters(case: Case) -> None:
    twin = case.keras_twin()
    shapes = case.variables()["params"]
    theirs = by_name(twin, twin.trainable_weights)
    assert jax.tree.map(np.shape, shapes) == jax.tree.map(np.shape, theirs)
    assert twin.count_params() == case.num_params


@models
@precisions
def test_level_1_forward(case: Case, precision: str) -> None:
    with twins(case, precision) as (model, params, x, twin):
        ours = model.apply({"params": params}, x)
        theirs = twin(x, training=False)
        assert ours.dtype == theirs.dtype.name == precision
        assert error(ours, theirs) < TOLERANCE[precision, 1]


@models
@precisions
def test_level_2_gradients(case: Case, precision: str) -> None:
    label = np.array([3, 1, 4, 1, 5])
    with twins(case, precision) as (model, params, x, twin):

        def loss(params):
            logits = model.apply({"params": params}, x, train=True)
            return cross_entropy(logits, label).mean()

        our_loss, ours = jax.value_and_grad(loss)(params)
        with tf.GradientTape() as tape:
            their_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(
                label, twin(x, training=True)
            )
        weights = [weight.value for weight in twin.trainable_weights]
        theirs = by_name(twin, tape.gradient(their_loss, weights))
        assert error(our_loss, their_loss) < TOLERANCE[precision, 2]
        errors = jax.tree.map(error, ours, theirs)
        worst = max(jax.tree_util.tree_leaves_with_path(errors), key=lambda e: e[1])
        assert worst[1] < TOLERANCE[precision, 2], worst


@models
def test_training_starts_from_keras_distribution(case: Case) -> None:
    ours = case.make().init(jax.random.key(0), case.inputs(1))["params"]
    twin = case.keras_twin()
    theirs = by_name(twin, twin.get_weights())
    for layer in ours:
        np.testing.assert_array_equal(ours[layer]["bias"], theirs[layer]["bias"])
        a, b = np.ravel(ours[layer]["kernel"]), np.ravel(theirs[layer]["kernel"])
        # Both uniform: the same range, and the same spread within sampling error.
        few = 6 / np.sqrt(a.size)
        assert np.abs(a).max() == pytest.approx(np.abs(b).max(), rel=few)
        assert a.std() == pytest.approx(b.std(), rel=few)

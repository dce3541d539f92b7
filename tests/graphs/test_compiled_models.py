"""Compiled models: training goes on in fdl as it would in Keras."""

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

import fdl
from fdl.keras import import_model
from lazily import Lazily, keras

O = Lazily("keras.optimizers")
pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
]


@pytest.fixture(autouse=True)
def _double():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    with jax.enable_x64(True):
        yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def built():
    """Two outputs, statistics, a penalty, a constraint, and a part that is frozen."""
    L = keras.layers
    x = keras.Input((4,), name="x")
    norm = lambda: L.BatchNormalization(momentum=0.75, epsilon=2**-10)
    fixed = keras.Sequential([L.Dense(4), norm()], name="fixed")
    fixed.trainable = False
    # Without a bias: before a normalization its gradient is noise, of which Lion takes
    # the sign.
    half = keras.regularizers.L2(0.5)
    options = {"kernel_regularizer": half, "kernel_constraint": "unit_norm"}
    h = L.Dense(4, use_bias=False, **options)(fixed(x))
    h = norm()(h)
    a, b = L.Dense(3, activation="softmax", name="a")(h), L.Dense(1, name="b")(h)
    return keras.Model(x, [a, b])


RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 4))
TARGETS = {"a": np.arange(6) % 3, "b": RNG.normal(size=(6, 1))}
HALF = {"beta_1": 0.5, "beta_2": 0.75, "epsilon": 2**-20}
OPTIMIZERS = [
    lambda: O.Adam(2**-4, **HALF, amsgrad=True, global_clipnorm=0.25),
    lambda: O.SGD(O.schedules.PiecewiseConstantDecay([1], [0.25, 0.125]), 0.5),
    lambda: O.RMSprop(2**-4, rho=0.5, momentum=0.5, epsilon=2**-20, centered=True),
    lambda: O.Adafactor(2**-4, beta_2_decay=-0.75, epsilon_1=2**-60, epsilon_2=2**-10),
    lambda: O.Muon(
        2**-4,
        exclude_layers=["a"],
        epsilon=2**-20,
        adam_beta_1=0.5,
        adam_beta_2=0.75,
        momentum=0.5,
        muon_a=3.5,
        muon_b=-4.75,
        muon_c=2.0,
        rms_rate=0.25,
        weight_decay=2**-4,
        adam_weight_decay=2**-5,
    ),
    lambda: O.LossScaleOptimizer(
        O.Lion(2**-4, 0.5, 0.5, use_ema=True, gradient_accumulation_steps=2)
    ),
]


@pytest.mark.parametrize(
    ("make", "suffix"),
    [*((make, ".keras") for make in OPTIMIZERS), (OPTIMIZERS[0], ".h5")],
)
def test_a_step_from_the_state_that_is_stored(make, suffix, tmp_path):
    theirs = built()
    theirs.compile(
        make(),
        loss={"a": "sparse_categorical_crossentropy", "b": keras.losses.LogCosh()},
        loss_weights={"a": 2.0, "b": 0.25},
        metrics={"a": ["accuracy"], "b": ["mse"]},
        run_eagerly=True,
    )
    for _ in range(3):
        theirs.train_on_batch(X, list(TARGETS.values()))
    theirs.save(tmp_path / f"model{suffix}")
    model, variables, compiled = import_model(
        tmp_path / f"model{suffix}", compiled=True
    )
    learner, state = fdl.learners.from_keras(model, variables, compiled)
    batch = fdl.arrays.Rows(X, TARGETS)
    for _ in range(2):
        theirs.train_on_batch(X, list(TARGETS.values()))
        state, measured = jax.jit(learner.step)(state, batch)
    theirs.save(tmp_path / "after.keras")
    _, after = import_model(tmp_path / "after.keras")
    found = flatten_dict(state.variables)
    for path, value in flatten_dict(after).items():
        np.testing.assert_allclose(found[path], value, rtol=1e-9, atol=1e-10)
    assert sorted(measured) == ["a_accuracy", "b_mean_squared_error", "loss"]

"""Compiled models: fdl resumes training as Keras would."""

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
def _float64():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    with jax.enable_x64(True):
        yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def built():
    """Two outputs, statistics, a penalty, a constraint, and a frozen part."""
    L = keras.layers
    x = keras.Input((4,), name="x")
    norm = lambda: L.BatchNormalization(momentum=0.75, epsilon=2**-10)
    fixed = keras.Sequential([L.Dense(4), norm()], name="fixed")
    fixed.trainable = False
    # Without a bias: before a normalization, its gradient is rounding noise, and Lion
    # takes the sign of gradients.
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
def test_steps_from_the_stored_state_equal_those_of_keras(make, suffix, tmp_path):
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


def tagger():
    """A model whose output has a mask."""
    L = keras.layers
    x = keras.Input((4,), dtype="int32")
    h = L.Embedding(5, 3, mask_zero=True)(x)
    h = L.LSTM(3, return_sequences=True)(h)
    return keras.Model(x, L.Dense(3, activation="softmax")(h))


def perceptron(outputs, activation):
    def make():
        x = keras.Input((4,))
        return keras.Model(x, keras.layers.Dense(outputs, activation)(x))

    return make


def unit():
    """Embeddings of length 1."""
    x = keras.Input((4,))
    return keras.Model(x, keras.layers.UnitNormalization()(keras.layers.Dense(2)(x)))


LABELS = (RNG.random((6, 3)) > 0.5) * 1.0
TOKENS = np.array([[1, 2, 0, 0], [3, 1, 2, 0], [4, 4, 4, 4]])
CLASSES = np.arange(6) % 3


def metrics_of_labels():
    k = keras.metrics
    measures = [k.AUC(num_thresholds=20), k.Precision(thresholds=0.25), k.Recall()]
    measures += [k.F1Score("micro", 0.5), "cosine_similarity", k.LogCoshError(), "mse"]
    return [*measures, k.MeanMetricWrapper(keras.losses.poisson, "poisson")]


def metrics_of_classes():
    k = keras.metrics
    return ["accuracy", k.OneHotMeanIoU(3), "poisson", k.Accuracy("exact")]


CASES = {
    "masks": (
        tagger,
        TOKENS,
        np.arange(12).reshape(3, 4) % 3,
        lambda: "ce",
        lambda: ["acc"],
    ),
    "dice": (perceptron(3, "sigmoid"), X, LABELS, lambda: "dice", metrics_of_labels),
    "tversky": (
        perceptron(3, "sigmoid"),
        X,
        LABELS,
        lambda: keras.losses.Tversky(alpha=0.25, axis=(1,)),
        list,
    ),
    # The last class has only one embedding.
    "circle": (
        unit,
        X,
        np.array([0, 1, 0, 1, 1, 2]),
        lambda: keras.losses.Circle(2.0, 0.375),
        list,
    ),
    "generalized": (
        perceptron(3, "softmax"),
        X,
        CLASSES,
        lambda: keras.losses.CategoricalGeneralizedCrossEntropy(0.25),
        list,
    ),
    "hot": (
        perceptron(3, "softmax"),
        X,
        np.eye(3)[CLASSES],
        lambda: "categorical_crossentropy",
        metrics_of_classes,
    ),
}


# Metrics that Keras reports under an abbreviation or the name given to them.
RENAMED = {
    "acc": "accuracy",
    "exact": "exact_accuracy",
    "logcosh": "log_cosh",
    "mse": "mean_squared_error",
}


@pytest.mark.parametrize("name", CASES)
def test_losses_and_metrics_equal_those_of_keras(name, tmp_path):
    make, inputs, targets, loss, measures = CASES[name]
    theirs = make()
    theirs.compile(O.SGD(0.5), loss(), metrics=measures(), run_eagerly=True)
    theirs.save(tmp_path / "model.keras")
    model, variables, compiled = import_model(tmp_path / "model.keras", compiled=True)
    learner, state = fdl.learners.from_keras(model, variables, compiled)
    found = fdl.evaluate(learner, state, (inputs, targets))
    wanted = theirs.evaluate(inputs, targets, verbose=0, return_dict=True)
    expected = {RENAMED.get(key, key): value for key, value in wanted.items()}
    assert found.keys() == expected.keys()
    for key, value in found.items():
        np.testing.assert_allclose(value, expected[key], rtol=2e-6, err_msg=key)
    state, _ = jax.jit(learner.step)(state, (inputs, targets))
    theirs.train_on_batch(inputs, targets)
    weights = [np.asarray(w) for w in theirs.trainable_variables]
    moved = jax.tree.leaves(state.params)
    for one in weights:
        assert min(np.abs(one - w).max() for w in moved if w.shape == one.shape) < 1e-8

"""Losses compared with Keras' functions: values, and gradients of the outputs."""

import functools

import jax
import numpy as np
import pytest

from fdl import losses
from lazily import keras, tf

TOLERANCE = {
    "float32": {"rtol": 2e-5, "atol": 2e-6},
    "float64": {"rtol": 1e-10, "atol": 1e-10},
}
CLASSES = 5

pytestmark = pytest.mark.parity


def values(rng, shape):
    """Draw outputs and targets with errors of all sizes, some of them zero."""
    outputs, targets = 2 * rng.normal(size=(2, *shape))
    outputs.flat[1::5] = targets.flat[1::5]
    outputs.flat[::7] *= 500
    return outputs, targets


def positive(rng, shape):
    outputs, targets = rng.gamma(1.0, 2.0, size=(2, *shape))
    outputs.flat[::7] = 0
    return outputs, np.floor(targets)


def logits(rng, shape):
    x = 4 * rng.normal(size=shape)
    x.flat[::7] = 1000
    x.flat[3::7] = -1000
    return x


def binary(rng, shape):
    """Draw logits, and targets that are 0, 1 or in between."""
    targets = rng.integers(2, size=shape) * 1.0
    targets.flat[::4] = rng.random(targets.flat[::4].shape)
    return logits(rng, shape), targets


def certain_binary(rng, shape):
    return logits(rng, shape), rng.integers(2, size=shape)


def moderate_binary(rng, shape):
    return rng.normal(size=shape), rng.integers(2, size=shape)


def signs(rng, shape):
    return logits(rng, shape), 2 * rng.integers(2, size=shape) - 1


def probabilities(rng, shape):
    """Draw probabilities, some of them 0 and 1, and binary targets."""
    p = rng.random(shape)
    p.flat[::7], p.flat[3::7] = 0, 1
    return p, binary(rng, shape)[1]


def certain_probabilities(rng, shape):
    return probabilities(rng, shape)[0], rng.integers(2, size=shape)


def classes(rng, shape):
    return logits(rng, shape), rng.integers(shape[-1], size=shape[:-1])


def one_hot(rng, shape):
    x, label = classes(rng, shape)
    return x, np.eye(shape[-1])[label]


def soft(rng, shape):
    x, hot = one_hot(rng, shape)
    p = 0.5 * hot + 0.5 * rng.dirichlet(np.ones(shape[-1]), shape[:-1])
    return x, np.where(rng.random((*shape[:-1], 1)) < 0.3, hot, p)


def distributions(rng, shape):
    """Draw class probabilities, some of them almost 0."""
    p = rng.dirichlet(0.02 * np.ones(shape[-1]), shape[:-1])
    return p, soft(rng, shape)[1]


def unscaled(rng, shape):
    """Draw class probabilities that do not sum to 1."""
    return rng.random(shape) + 0.01, one_hot(rng, shape)[1]


def class_probabilities(rng, shape):
    p = rng.dirichlet(np.ones(shape[-1]), shape[:-1])
    return p, rng.integers(shape[-1], size=shape[:-1])


def padded(rng, shape):
    x, label = classes(rng, shape)
    return x, np.where(rng.random(label.shape) < 0.4, 2, label)


def regions(rng, shape):
    return rng.random(shape), rng.integers(2, size=shape)


def embeddings(rng, shape):
    """Draw unit vectors of two classes."""
    x = rng.normal(size=(np.prod(shape[:-1]), shape[-1]))
    return x / np.linalg.norm(x, axis=1, keepdims=True), np.arange(len(x)) % 2


def vectors(rng, shape):
    return rng.normal(size=(2, *shape))


PROBABILITIES = {"from_logits": False}
CASES = [
    ("mean_squared_error", values, {}),
    ("mean_absolute_error", values, {}),
    ("mean_absolute_percentage_error", values, {}),
    ("mean_squared_logarithmic_error", values, {}),
    ("mean_squared_logarithmic_error", positive, {}),
    ("huber", values, {}),
    ("huber", values, {"delta": 0.25}),
    ("huber", values, {"delta": 4.0}),
    ("log_cosh", values, {}),
    ("poisson", positive, {}),
    ("cosine_similarity", vectors, {}),
    ("kl_divergence", distributions, {}),
    ("hinge", certain_binary, {}),
    ("hinge", signs, {}),
    ("squared_hinge", certain_binary, {}),
    ("squared_hinge", signs, {}),
    ("categorical_hinge", one_hot, {}),
    ("binary_crossentropy", binary, {}),
    ("binary_crossentropy", certain_binary, {"label_smoothing": 0.125}),
    ("binary_crossentropy", probabilities, PROBABILITIES),
    (
        "binary_crossentropy",
        certain_probabilities,
        {"label_smoothing": 0.125, **PROBABILITIES},
    ),
    ("binary_focal_crossentropy", certain_binary, {}),
    ("binary_focal_crossentropy", binary, {"gamma": 1.5}),
    # For saturated logits, Keras' gradient is NaN with these.
    ("binary_focal_crossentropy", moderate_binary, {"gamma": 0.0}),
    ("binary_focal_crossentropy", moderate_binary, {"gamma": 0.5}),
    ("binary_focal_crossentropy", certain_binary, {"apply_class_balancing": True}),
    (
        "binary_focal_crossentropy",
        probabilities,
        {
            "apply_class_balancing": True,
            "alpha": 0.625,
            "gamma": 3.0,
            "label_smoothing": 0.125,
            **PROBABILITIES,
        },
    ),
    ("sparse_categorical_crossentropy", classes, {}),
    ("sparse_categorical_crossentropy", padded, {"ignore_class": 2}),
    ("sparse_categorical_crossentropy", class_probabilities, PROBABILITIES),
    (
        "sparse_categorical_crossentropy",
        class_probabilities,
        {"ignore_class": 2, **PROBABILITIES},
    ),
    ("categorical_crossentropy", one_hot, {}),
    ("categorical_crossentropy", soft, {}),
    ("categorical_crossentropy", one_hot, {"label_smoothing": 0.125}),
    ("categorical_crossentropy", soft, {"label_smoothing": 0.5}),
    ("categorical_crossentropy", distributions, PROBABILITIES),
    ("categorical_crossentropy", unscaled, {"label_smoothing": 0.125, **PROBABILITIES}),
    ("categorical_focal_crossentropy", one_hot, {}),
    ("categorical_focal_crossentropy", soft, {"gamma": 0.5, "alpha": 0.625}),
    ("categorical_focal_crossentropy", one_hot, {"label_smoothing": 0.125}),
    ("categorical_focal_crossentropy", one_hot, {"alpha": [0.5, 1.0, 2.0, 0.25, 4.0]}),
    ("categorical_focal_crossentropy", distributions, {"gamma": 3.0, **PROBABILITIES}),
    ("categorical_focal_crossentropy", unscaled, PROBABILITIES),
    ("dice", regions, {}),
    ("dice", regions, {"axis": -1}),
    ("tversky", regions, {"alpha": 0.25, "beta": 0.75}),
    ("tversky", regions, {"alpha": 2.0, "axis": [0, -1]}),
    ("circle", embeddings, {}),
    ("circle", embeddings, {"gamma": 2.0, "margin": 0.25, "remove_diagonal": False}),
    ("categorical_generalized_cross_entropy", class_probabilities, {"q": 0.5}),
    ("categorical_generalized_cross_entropy", class_probabilities, {"q": 0.125}),
]
WITH_LOGITS = [name for name in dir(losses) if name.endswith("_crossentropy")]


def theirs(name, outputs, targets, cotangent, options):
    if name in WITH_LOGITS:
        options = {"from_logits": True, **options}
    x = tf.constant(outputs)
    with tf.GradientTape() as tape:
        tape.watch(x)
        found = getattr(keras.losses, name)(tf.constant(targets), x, **options)
    slope = tape.gradient(found, x, output_gradients=tf.constant(cotangent))
    return found.numpy(), slope.numpy()


def ours(name, outputs, targets, rng, options):
    """Return losses, their cotangents, and gradients."""
    if isinstance(options.get("alpha"), list):
        options = {**options, "alpha": np.asarray(options["alpha"], outputs.dtype)}
    loss = functools.partial(getattr(losses, name), **options)
    shape = jax.eval_shape(loss, outputs, targets)
    cotangent = rng.normal(size=shape.shape).astype(shape.dtype)

    @jax.jit
    def with_slope(outputs, cotangent):
        found, pull = jax.vjp(lambda x: loss(x, targets), outputs)
        return found, *pull(cotangent)

    found, slope = with_slope(outputs, cotangent)
    return found, cotangent, slope


@pytest.fixture
def precision(request):
    keras.config.set_floatx(request.param)
    with jax.enable_x64(request.param == "float64"):
        yield request.param
    keras.config.set_floatx("float32")


def compare(name, draw, options, shape, precision) -> None:
    rng = np.random.default_rng(0)
    outputs, targets = draw(rng, shape)
    outputs = outputs.astype(precision)
    if targets.dtype.kind == "f":
        targets = targets.astype(precision)
    else:
        targets = targets.astype(np.int32)
    found, cotangent, slope = ours(name, outputs, targets, rng, options)
    wanted = theirs(name, outputs, targets, cotangent, options)
    for our, their in zip((found, slope), wanted, strict=True):
        assert our.dtype == precision
        assert our.shape == their.shape
        assert np.isfinite(our).all()
        tolerance = TOLERANCE[precision]
        if name == "log_cosh":  # Keras on TensorFlow rounds log 2 to float32
            tolerance = {**tolerance, "atol": 1e-6}
        np.testing.assert_allclose(our, their, **tolerance)


def words_of(value):
    return getattr(value, "__name__", str(value))


# In double precision, in which rounding cannot hide a wrong formula, each loss runs
# once, and with other axes: rank and precision are independent of the other options.
FIRST = {case[0]: case for case in reversed(CASES)}
DOUBLE = [case for case in CASES if case is FIRST[case[0]] or "axis" in case[2]]


@pytest.mark.parametrize(
    ("name", "draw", "options", "precision"),
    [(*case, "float32") for case in CASES] + [(*case, "float64") for case in DOUBLE],
    indirect=["precision"],
    ids=words_of,
)
def test_loss(name, draw, options, precision) -> None:
    shape = (40, CLASSES) if precision == "float32" else (3, 14, CLASSES)
    compare(name, draw, options, shape, precision)

"""Invalid arguments and data are refused at once, with their name in the message."""

import functools
import math
import re

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

import fdl
from fdl import keras, nn
from fdl.data import augment
from fdl.keras import schedules

NAN, INF, HUGE = math.nan, math.inf, 10**400

BELOW_0 = (-1.0, NAN, INF, HUGE, "0.1", True, [1.0])
NOT_ABOVE_0 = (0.0, *BELOW_0, None)
NO_FRACTION = (1.5, *BELOW_0, None)  # outside of [0, 1]
NO_PROPER_FRACTION = (1.0, *NO_FRACTION)  # outside of [0, 1)
NO_COUNT = (0, -1, 1.5, NAN, INF, "2", True, None)

# In tests, type checks refuse some values before the checks that users have.
REFUSED = (ValueError, jaxtyping.TypeCheckError)
ADAM = optax.adam(1e-3)
OPTIMIZERS = ("sgd", "rmsprop", "adam", "adamw", "adagrad", "nadam")
X = jnp.ones((2, 8, 8, 4))


def applied(layer, **options):
    """Return a function that initializes a layer with one more option."""
    inputs = options.pop("inputs", X)
    return lambda **one: layer(**(options | one)).init(jax.random.key(0), inputs)


def layers():
    conv = {"features": 3, "kernel_size": (3, 3)}
    line = {"features": 3, "kernel_size": 3, "inputs": X[0]}
    deep = {"kernel_size": (3, 3)}
    pair = [(n, 3) for n in NO_COUNT if n is not None]
    yield applied(nn.Dense), "features", NO_COUNT
    for layer, options in (
        (nn.Conv2D, conv),
        (nn.Conv2DTranspose, conv),
        (nn.SeparableConv2D, conv),
        (nn.DepthwiseConv2D, deep),
    ):
        yield applied(layer, **options), "kernel_size", pair
        yield applied(layer, **options), "strides", pair
        if "features" in options:
            yield applied(layer, **options), "features", NO_COUNT
    yield applied(nn.DepthwiseConv2D, **deep), "depth_multiplier", NO_COUNT
    yield applied(nn.Conv2D, **conv), "dilation", pair
    yield applied(nn.Conv1D, **line), "features", NO_COUNT
    yield applied(nn.Conv1D, **line), "kernel_size", NO_COUNT
    yield functools.partial(nn.max_pool, X), "window", pair
    for layer in (nn.SimpleRNN, nn.LSTM, nn.GRU):
        yield applied(layer, inputs=X[0]), "features", NO_COUNT
    tokens = {"inputs": jnp.zeros((2, 3), int)}
    yield applied(nn.Embedding, features=3, **tokens), "num_embeddings", NO_COUNT
    yield applied(nn.Embedding, num_embeddings=3, **tokens), "features", NO_COUNT
    attention = {"num_heads": 2, "key_size": 3, "inputs": X[0]}
    yield applied(nn.MultiHeadAttention, **attention), "num_heads", NO_COUNT
    yield applied(nn.MultiHeadAttention, **attention), "dropout_rate", NO_FRACTION
    yield lambda **one: nn.Dropout(**one).apply({}, X), "rate", NO_FRACTION
    yield nn.BatchNormalization, "momentum", NO_FRACTION
    for layer in (nn.BatchNormalization, nn.LayerNormalization, nn.GroupNormalization):
        yield layer, "epsilon", (*BELOW_0, None)


def optimizers():
    for name in OPTIMIZERS:
        make = getattr(keras, name)
        yield make, "learning_rate", NOT_ABOVE_0
        for option in ("weight_decay", "clipnorm", "global_clipnorm", "clipvalue"):
            yield make, option, BELOW_0
        if name != "sgd":
            yield make, "epsilon", (*BELOW_0, None)
    for name in ("adam", "adamw", "nadam"):
        for option in ("beta_1", "beta_2"):
            yield getattr(keras, name), option, NO_PROPER_FRACTION
    yield keras.sgd, "momentum", NO_FRACTION
    yield keras.rmsprop, "rho", NO_FRACTION
    yield keras.adagrad, "initial_accumulator_value", (*BELOW_0, None)


def rates():
    first = {"initial_learning_rate": 0.1}
    decay = {**first, "decay_steps": 5, "decay_rate": 0.5}
    for make, options in (
        (schedules.exponential_decay, decay),
        (schedules.inverse_time_decay, decay),
        (schedules.polynomial_decay, {**first, "decay_steps": 5}),
        (schedules.cosine_decay, {**first, "decay_steps": 5}),
        (schedules.cosine_decay_restarts, {**first, "first_decay_steps": 5}),
    ):
        given = lambda make=make, options=options, **one: make(**(options | one))
        yield given, "initial_learning_rate", (*BELOW_0, None)
        yield given, next(k for k in options if k.endswith("steps")), NO_COUNT
        if "decay_rate" in options:
            yield given, "decay_rate", (*BELOW_0, None)
    cosine = functools.partial(schedules.cosine_decay, 0.1, 5)
    yield cosine, "alpha", (*BELOW_0, None)
    yield cosine, "warmup_target", (0.0, *BELOW_0)
    yield cosine, "warmup_steps", (-1, 1.5, NAN, None)
    yield functools.partial(schedules.polynomial_decay, 0.1, 5), "power", NOT_ABOVE_0
    restarts = functools.partial(schedules.cosine_decay_restarts, 0.1, 5)
    yield restarts, "t_mul", (0.5, *BELOW_0, None)
    yield restarts, "m_mul", NOT_ABOVE_0
    steps = lambda boundaries: schedules.piecewise_constant_decay(boundaries, [1.0] * 3)
    yield steps, "boundaries", ([1, 1], [2, 1], [-1, 1], [1, 1.5], [1, NAN])
    values = lambda values: schedules.piecewise_constant_decay([1], values)
    yield values, "values", ([1.0, NAN], [-1.0, 1.0], [1.0, INF])


def augmentations():
    no_size = (-1, 1.5, NAN, None)
    yield augment.shift, "distance", no_size
    yield augment.crop, "padding", no_size
    yield augment.cutout, "size", no_size
    yield augment.flip, "probability", NO_FRACTION
    yield augment.noise, "stddev", (*BELOW_0, None)
    yield augment.brightness, "delta", (*BELOW_0, None)
    yield augment.contrast, "factor", NO_FRACTION
    yield augment.mixup, "alpha", NOT_ABOVE_0


def learners():
    loss = fdl.losses.cross_entropy
    one = fdl.learners.supervised(fdl.models.MLP(3), loss, ADAM)
    coder, vae = fdl.models.Autoencoder(), fdl.models.VAE()
    yield lambda n: fdl.many(one, n), "n", NO_COUNT
    yield (
        lambda decay: fdl.learners.averaged(one, decay),
        "decay",
        (0.0, *NO_PROPER_FRACTION),
    )
    noisy = functools.partial(fdl.learners.reconstructive, coder, ADAM)
    yield noisy, "noise", NO_PROPER_FRACTION
    variational = functools.partial(fdl.learners.variational, vae, ADAM)
    for name in ("beta", "free_bits"):
        yield variational, name, (*BELOW_0, None)
    smooth = functools.partial(loss, jnp.zeros((2, 3)), jnp.zeros(2, int))
    yield smooth, "label_smoothing", NO_FRACTION


@pytest.mark.parametrize(
    "table",
    [layers, optimizers, rates, augmentations, learners],
    ids=lambda t: t.__name__,
)
def test_numbers_are_refused_by_name(table) -> None:
    for make, name, values in table():
        for value in values:
            with pytest.raises(REFUSED, match=name) as refusal:
                make(**{name: value})
            if not refusal.errisinstance(jaxtyping.TypeCheckError):
                shown = [f"{name}={value!r}"[:40]]
                if isinstance(value, list):  # or the element that is wrong
                    shown += [f"{name}[{i}]={x!r}" for i, x in enumerate(value)]
                assert any(one in str(refusal.value) for one in shown)


IMAGES, LABELS = np.zeros((8, 4, 4, 1), np.float32), np.arange(8) % 3
GOOD = fdl.Batch(IMAGES, LABELS)


@pytest.fixture(scope="module")
def learner():
    model = fdl.models.MLP(3, (4,))
    return fdl.learners.supervised(model, fdl.losses.cross_entropy, ADAM)


@pytest.fixture(scope="module")
def state(learner):
    return learner.init(jax.random.key(0), GOOD)


def changed(array, value, dtype=None):
    """Return a copy of an array with one other value."""
    array = array.astype(dtype or array.dtype)
    array.flat[5] = value
    return array


DATA = [
    (GOOD._replace(label=changed(LABELS, 2**40 + 1)), "has the value 1099511627777"),
    (GOOD._replace(label=changed(LABELS, 2**63 + 1, np.uint64)), "has the value 9223"),
    (GOOD._replace(label=changed(LABELS, -1)), "label has the value -1"),
    (GOOD._replace(label=changed(LABELS, 3)), "label has the value 3"),
    (GOOD._replace(label=LABELS.astype(">i4")), "astype('int32')"),
    (GOOD._replace(label=LABELS.astype(float)), "label has dtype float64"),
    (GOOD._replace(image=IMAGES.astype(">f4")), "astype('float32')"),
    (GOOD._replace(image=changed(IMAGES, NAN)), "image has 1 values that are NaN"),
    (GOOD._replace(image=changed(IMAGES, INF)), "image has 1 values that are NaN"),
    (GOOD._replace(image=changed(IMAGES, -1e300, np.float64)), "beyond float32"),
    (GOOD._replace(image=IMAGES[:, :0]), "image has shape (8, 0, 4, 1), so its"),
    (GOOD._replace(image=IMAGES.astype("U3")), "is not numeric"),
    (GOOD._replace(image=IMAGES[0, 0, 0, 0]), "image is"),
    (GOOD._replace(image=None), "image is None, not an array"),
    (GOOD._replace(image={"a": IMAGES}), "image is a dict, not an array"),
    (GOOD._replace(image=IMAGES.tolist()), "image is a list, not an array"),
    (GOOD._replace(image=IMAGES[:7]), "different numbers of examples"),
    (GOOD._replace(image=IMAGES[:0], label=LABELS[:0]), "the set is empty"),
    ({"images": IMAGES, "labels": LABELS}, "the data are a dict"),
    ((None, LABELS), "None for inputs"),
    ((IMAGES, None), "None for targets"),
    (None, "no arrays"),
    ((IMAGES, LABELS, changed(np.ones(8), -1)), "weights contain -1"),
    ((IMAGES, LABELS, changed(np.ones(8), NAN)), "NaN"),
]


def test_data_are_refused_before_training_and_measuring(learner, state) -> None:
    for data, message in DATA:
        assert_refused(learner, state, data, message)


def assert_refused(learner, state, data, message) -> None:
    plan = {"epochs": 1, "batch_size": 2}
    calls = (
        lambda: fdl.fit(learner, data, **plan, key=0),
        lambda: fdl.fit_many(lambda _: learner, {}, data, **plan, keys=range(2)),
        lambda: fdl.fit(learner, GOOD, **plan, key=0, validation_data=data or ()),
        lambda: fdl.evaluate(learner, state, data),
    )
    for call in calls:
        with pytest.raises(fdl.DataError) as found:
            call()
        assert message in str(found.value)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES.astype(">f4"), "astype('float32')"),
        (changed(IMAGES, NAN), "NaN"),
        (IMAGES[:, :0], "so its examples are empty"),
        (IMAGES[:, :2], "the model does not take inputs of shape"),
        (IMAGES[:0], "the set is empty"),
        (None, "no arrays"),
        (IMAGES.tolist(), "not an array"),
    ],
)
def test_inputs_to_predict_are_refused(learner, state, images, message) -> None:
    with pytest.raises(fdl.DataError, match=re.escape(message)):
        fdl.predict(learner, state, images)


def test_arguments_of_training_are_refused(learner, state) -> None:
    plan = {"epochs": 1, "batch_size": 2}
    fit = lambda **one: fdl.fit(learner, GOOD, **{**plan, "key": 0, **one})
    many = lambda **one: fdl.fit_many(
        lambda _: learner, {}, GOOD, **{**plan, "keys": range(2), **one}
    )
    measure = lambda **one: fdl.evaluate(learner, state, GOOD, **one)
    predict = lambda **one: fdl.predict(learner, state, IMAGES, **one)
    seeds = (1.5, NAN, -1, 2**32, "0", None)
    for call, name, values in (
        (fit, "epochs", (*NO_COUNT, 2**31)),
        (fit, "batch_size", (*NO_COUNT, 9)),
        (fit, "steps_per_chunk", [n for n in NO_COUNT if n is not None]),
        (fit, "key", seeds),
        (fit, "shuffle_key", seeds[:-1]),
        (many, "epochs", NO_COUNT),
        (many, "batch_size", (*NO_COUNT, 9)),
        (many, "members_per_chunk", [n for n in NO_COUNT if n is not None]),
        (many, "keys", (*([seed] for seed in seeds), [], 0)),
        (many, "strategy", ("loop", 1)),
        (measure, "batch_size", NO_COUNT),
        (predict, "batch_size", NO_COUNT),
    ):
        for value in values:
            with pytest.raises(REFUSED, match=name):
                call(**{name: value})


def test_a_state_of_another_training_is_refused(learner, state) -> None:
    model, loss = fdl.models.MLP(3, (4,)), fdl.losses.cross_entropy
    plan = {"epochs": 2, "batch_size": 2, "key": 0}
    done = fdl.fit(learner, GOOD, **plan)
    with pytest.raises(
        ValueError, match="has already made 2 epochs, which epochs=2 includes"
    ):
        fdl.fit(learner, GOOD, **plan, state=done.state)
    with pytest.raises(
        ValueError, match="history has 8 updates in 2 epochs, but an epoch"
    ):
        fdl.fit(
            learner,
            GOOD,
            epochs=5,
            batch_size=4,
            key=0,
            state=done.state,
            history=done.history,
        )
    for other, place in (
        (fdl.learners.supervised(model, loss, optax.sgd(0.1)), "opt_state"),
        (fdl.learners.supervised(model.clone(num_classes=4), loss, ADAM), "head"),
        (fdl.learners.averaged(learner, 0.9), "extra"),
    ):
        with pytest.raises(ValueError, match=f"does not fit this learner: .*{place}"):
            fdl.fit(other, GOOD, **plan, state=state)

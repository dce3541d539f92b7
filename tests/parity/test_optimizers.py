"""Optimizers and schedules compared with Keras': parameters and slots at every step."""

import re

import jax
import numpy as np
import optax
import pytest

from fdl import keras as fk
from lazily import keras, tf
from parity.ladder import error

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
STEPS = 9

pytestmark = pytest.mark.parity

# On TensorFlow, Keras rounds every option to float32 before it computes in float64. So
# these options are exact in float32; otherwise the comparison in double precision would
# measure that rounding. The defaults are compared in float32.
RATE = 2**-5
EXACT = {"beta_1": 1 - 2**-3, "beta_2": 1 - 2**-8, "epsilon": 2**-23}
LEADER = {"initial_accumulator_value": 0.125, "learning_rate_power": -0.75}
LEADER |= {"l1_regularization_strength": 2**-4, "l2_regularization_strength": 0.5}
LEADER |= {"l2_shrinkage_regularization_strength": 0.25, "beta": 0.5}
FACTORS = {"beta_2_decay": -0.75, "epsilon_1": 2**-60, "epsilon_2": 2**-10}
MATRICES = {"adam_beta_1": 1 - 2**-3, "adam_beta_2": 1 - 2**-8, "epsilon": 2**-23}
MATRICES |= {"adam_weight_decay": 2**-4, "momentum": 0.875, "adam_lr_ratio": 0.5}
MATRICES |= {"muon_a": 3.5, "muon_b": -4.75, "muon_c": 2.0, "rms_rate": 0.25}
AVERAGE = {"use_ema": True, "ema_momentum": 0.75, "ema_overwrite_frequency": 2}
SEVERAL = {"gradient_accumulation_steps": 3}

OPTIMIZERS = [
    ("sgd", "SGD", {}),
    ("sgd", "SGD", {"momentum": 0.875}),
    ("sgd", "SGD", {"momentum": 0.875, "nesterov": True, "weight_decay": 2**-6}),
    ("rmsprop", "RMSprop", {"rho": 0.875, "epsilon": 2**-23}),
    ("rmsprop", "RMSprop", {"rho": 0.75, "momentum": 0.5, "epsilon": 2**-10}),
    ("rmsprop", "RMSprop", {"rho": 0.75, "centered": True, "epsilon": 2**-10}),
    ("adam", "Adam", EXACT),
    ("adam", "Adam", {**EXACT, "epsilon": 2**-6}),
    ("adam", "Adam", {**EXACT, "beta_2": 0.5, "amsgrad": True}),
    ("adam", "Adam", {**EXACT, "clipnorm": 2**-12}),
    ("adam", "Adam", {**EXACT, "global_clipnorm": 2**-12}),
    ("adam", "Adam", {**EXACT, "clipvalue": 2**-12}),
    ("adamw", "AdamW", {**EXACT, "weight_decay": 2**-8}),
    ("adamw", "AdamW", {**EXACT, "weight_decay": 0.25, "global_clipnorm": 128.0}),
    ("adagrad", "Adagrad", {"initial_accumulator_value": 0.125, "epsilon": 2**-23}),
    ("adagrad", "Adagrad", {"initial_accumulator_value": 0.0, "epsilon": 2**-10}),
    ("adamax", "Adamax", EXACT),
    ("adadelta", "Adadelta", {"rho": 0.875, "epsilon": 2**-23}),
    ("lamb", "Lamb", {**EXACT, "weight_decay": 2**-6}),
    ("lion", "Lion", {"beta_1": 0.875, "beta_2": 0.75, "weight_decay": 2**-6}),
    ("ftrl", "Ftrl", {"initial_accumulator_value": 0.125}),
    ("ftrl", "Ftrl", {**LEADER, "weight_decay": 2**-3}),
    ("adafactor", "Adafactor", {**FACTORS, "weight_decay": 2**-3}),
    ("adafactor", "Adafactor", {**FACTORS, "clip_threshold": 2**-2}),
    ("muon", "Muon", {**MATRICES, "weight_decay": 2**-3}),
    ("muon", "Muon", {**MATRICES, "nesterov": False, "rms_rate": None}),
    ("muon", "Muon", {**MATRICES, "exclude_layers": ["e"]}),
    ("schedulefreeadamw", "ScheduleFreeAdamW", {**EXACT, "weight_decay": 2**-6}),
    ("schedulefreeadamw", "ScheduleFreeAdamW", {**EXACT, **SEVERAL, "warmup_steps": 4}),
    ("adam", "Adam", {**EXACT, **AVERAGE, "weight_decay": 2**-6}),
    ("adam", "Adam", {**EXACT, "use_ema": True, "loss_scale_factor": 4.0}),
    ("sgd", "SGD", {**SEVERAL, "momentum": 0.5, "weight_decay": 2**-6}),
    ("ftrl", "Ftrl", {**LEADER, **SEVERAL, "clipnorm": 2**-12}),
    ("lamb", "Lamb", {**EXACT, **SEVERAL, **AVERAGE, "clipvalue": 2**-12}),
]
ONLY_SINGLE = [
    ("sgd", "SGD", {"momentum": 0.9}),
    ("rmsprop", "RMSprop", {}),
    ("adam", "Adam", {}),
    ("adamw", "AdamW", {}),
    ("adagrad", "Adagrad", {}),
    # Nadam has a constant 0.96, which is not exact in float32.
    ("nadam", "Nadam", {}),
    ("nadam", "Nadam", {"beta_1": 0.7, "weight_decay": 0.01}),
    *((name.lower(), name, {}) for name in ("Adamax", "Adadelta", "Lamb", "Lion")),
    *((name.lower(), name, {}) for name in ("Adafactor", "Muon", "ScheduleFreeAdamW")),
]

STAIRS = ([4, 9], [1.0, 0.5, 0.1])
WARMUP = {"warmup_target": 0.1, "warmup_steps": 5}
SCHEDULES = [
    ("exponential_decay", "ExponentialDecay", (0.1, 7, 0.5), {}),
    ("exponential_decay", "ExponentialDecay", (0.1, 7, 0.5), {"staircase": True}),
    ("inverse_time_decay", "InverseTimeDecay", (0.1, 7, 0.5), {}),
    ("inverse_time_decay", "InverseTimeDecay", (0.1, 7, 0.5), {"staircase": True}),
    ("polynomial_decay", "PolynomialDecay", (0.1, 9, 0.01, 2.0), {}),
    ("polynomial_decay", "PolynomialDecay", (0.1, 9), {"cycle": True}),
    (
        "piecewise_constant_decay",
        "PiecewiseConstantDecay",
        ([4, 9], [1.0, 0.5, 0.1]),
        {},
    ),
    ("cosine_decay", "CosineDecay", (0.1, 10, 0.1), {}),
    (
        "cosine_decay",
        "CosineDecay",
        (0.0, 8),
        {"warmup_target": 0.1, "warmup_steps": 5},
    ),
    ("cosine_decay_restarts", "CosineDecayRestarts", (0.1, 4), {}),
    ("cosine_decay_restarts", "CosineDecayRestarts", (0.1, 4, 1.0, 0.5, 0.1), {}),
    ("cosine_decay_restarts", "CosineDecayRestarts", (0.1, 3, 1.5, 0.9), {}),
]


def name_of(case) -> str:
    return f"{case[0]} {case[-1]}" if isinstance(case, tuple) else str(case)


def slot_of(variable) -> str:
    """Return the slot of an optimizer's variable: its name without the parameter."""
    return re.sub(r".*variable(_\d+)?_", "", variable.path)


class Slot:
    """A slot that Keras on TensorFlow reads before it is updated, as on JAX."""

    def __init__(self, variable):
        self.variable = variable

    def __getattr__(self, name):
        return getattr(self.variable, name)

    def __tf_tensor__(self, dtype=None, name=None):
        return self.value

    @property
    def value(self):
        return tf.identity(self.variable.value)


def trajectory(ours, theirs, precision: str) -> float:
    """Run both optimizers on the same gradients and return the largest error."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape).astype(precision)
    params = {"bias": draw(4), "kernel": draw(3, 4)}
    variables = [keras.Variable(params[name], dtype=precision) for name in params]
    theirs.build(variables)
    if isinstance(theirs, keras.optimizers.ScheduleFreeAdamW):
        theirs._momentums = [Slot(each) for each in theirs._momentums]
    worst = 0.0
    with jax.enable_x64(precision == "float64"):
        state = ours.init(params)
        update = jax.jit(ours.update)
        for step in range(STEPS):
            # Small enough for epsilon to matter, and once zero, as after dead units.
            size = np.asarray(1e-3 * 0.3**step * (step != 3), precision)
            grads = {name: draw(*p.shape) * size for name, p in params.items()}
            theirs.apply([keras.ops.convert_to_tensor(grads[n]) for n in params])
            updates, state = update(grads, state, params)
            params = optax.apply_updates(params, updates)
            pairs = list(zip(params.values(), variables, strict=True))
            for name, slot in getattr(state, "slots", {}).items():
                if name in (
                    "u_product",
                    "r",
                    "c",
                ):  # one variable, or unnamed, in Keras
                    continue
                kept = [v for v in theirs.variables if slot_of(v) == name]
                pairs += zip([x for x in slot.values() if x.ndim], kept, strict=True)
            worst = max(worst, *(error(a, b.numpy()) for a, b in pairs))
    return worst


@pytest.mark.parametrize(
    ("case", "precision"),
    [(case, "float64") for case in OPTIMIZERS]
    + [(case, "float32") for case in ONLY_SINGLE],
    ids=name_of,
)
def test_optimizer(case, precision) -> None:
    ours, theirs, options = case
    keras.config.set_floatx(precision)
    try:
        found = trajectory(
            getattr(fk, ours)(RATE, **options),
            getattr(keras.optimizers, theirs)(RATE, **options),
            precision,
        )
    finally:
        keras.config.set_floatx("float32")
    assert found < TOLERANCE[precision]


@pytest.mark.parametrize("case", SCHEDULES, ids=name_of)
def test_schedule(case) -> None:
    # On TensorFlow, Keras computes schedules only in float32.
    ours, theirs, arguments, options = case
    rate = getattr(keras.optimizers.schedules, theirs)(*arguments, **options)
    schedule = getattr(fk.schedules, ours)(*arguments, **options)
    wanted = [float(rate(step)) for step in range(30)]
    found = [float(schedule(step)) for step in range(30)]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


def test_dynamic_loss_scale_equals_that_of_keras() -> None:
    """Some steps double the scale, and one has infinite gradients."""
    inner = keras.optimizers.Adam(RATE)
    theirs = keras.optimizers.LossScaleOptimizer(inner, 8.0, 2)
    ours = fk.loss_scaled(fk.adam(RATE, loss_scale_factor=3.0), 8.0, 2)
    rng = np.random.default_rng(0)
    w = rng.normal(size=3).astype("float32")
    variable = keras.Variable(w)
    theirs.build([variable])
    state = ours.init(w)
    for step in range(7):
        assert float(state.loss_scale) == float(theirs.dynamic_scale)
        g = rng.normal(size=3).astype("float32") * float(state.loss_scale)
        g[0] *= np.inf if step == 3 else 1
        theirs.apply([keras.ops.convert_to_tensor(g)])
        updates, state = ours.update(g, state, w)
        w = w + updates
        assert error(w, variable.numpy()) < 1e-6
        assert int(state.step_counter) == int(theirs.step_counter)
        assert int(state.inner_state.iterations) == int(inner.iterations)


def test_a_schedule_counts_gradients() -> None:
    rate = keras.optimizers.schedules.ExponentialDecay(0.125, 5, 0.5)
    found = trajectory(
        fk.sgd(fk.schedules.exponential_decay(0.125, 5, 0.5), **SEVERAL),
        keras.optimizers.SGD(rate, **SEVERAL),
        "float32",
    )
    assert found < TOLERANCE["float32"]


def test_a_schedule_drives_an_optimizer() -> None:
    arguments = (0.1, 5, 0.5)
    rate = keras.optimizers.schedules.ExponentialDecay(*arguments)
    found = trajectory(
        fk.sgd(fk.schedules.exponential_decay(*arguments), momentum=0.9),
        keras.optimizers.SGD(rate, momentum=0.9),
        "float32",
    )
    assert found < TOLERANCE["float32"]


@pytest.mark.parametrize(
    ("plain", "theirs"),
    [
        (optax.adam(0.05, eps=1e-7), "Adam"),
        (optax.nadam(0.05, eps=1e-7), "Nadam"),
    ],
    ids=["adam", "nadam"],
)
def test_plain_optax_is_not_the_same_function(plain, theirs) -> None:
    """The tests above detect the difference between optax and Keras."""
    theirs = getattr(keras.optimizers, theirs)(0.05)
    assert trajectory(plain, theirs, "float32") > TOLERANCE["float32"]


def test_weight_decay_requires_parameters() -> None:
    tx = fk.adamw()
    state = tx.init(np.ones(2, np.float32))
    with pytest.raises(ValueError, match="needs the parameters"):
        tx.update(np.ones(2, np.float32), state)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fk.adam(beta_1=1.5), "beta_1=1.5"),
        (lambda: fk.sgd(momentum=-0.1), "momentum=-0.1"),
        (lambda: fk.adam(clipnorm=0.0, clipvalue=1.0), "clipnorm and clipvalue"),
        (lambda: fk.adam(gradient_accumulation_steps=1), "accumulation_steps=1"),
        (lambda: fk.adam(ema_overwrite_frequency=0), "ema_overwrite_frequency=0"),
        (lambda: fk.adam(ema_momentum=1.5), "ema_momentum=1.5"),
        (lambda: fk.adam(loss_scale_factor=0.0), "loss_scale_factor=0.0"),
        (lambda: fk.ftrl(learning_rate_power=0.5), "learning_rate_power=0.5"),
        (lambda: fk.loss_scaled(fk.adam(), 0.0), "initial_scale=0.0"),
        (lambda: fk.schedules.cosine_decay(0.1, 0), "decay_steps=0"),
        (lambda: fk.schedules.piecewise_constant_decay([1], [1.0]), "need 2 values"),
    ],
)
def test_invalid_options_are_refused(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()

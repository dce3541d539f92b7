"""Optimizers and schedules by name: each against its formula, and its options."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import data, tasks
from fdl.cli.task_command import ToTrain, Training
from fdl.runs.settings import change, configure, settings
from fdl.tasks.choices import OPTIMIZERS, SCHEDULES
from fdl.tasks.optimizers import make_optimizer
from fdl.tasks.schedules import learning_rate, make_schedule

RATE, P, G = 0.5, np.array([[3.0, -4.0], [0.5, 1.0]]), np.array([[0.3, -2], [1, 0.1]])
SIGN = np.sign(G)

# The first update, without weight decay.
FIRST = {
    "adam": -RATE * SIGN,
    "adamw": -RATE * SIGN,
    # mu_1 = 0.9 (1 - 0.96 / 2), mu_2 = 0.9 (1 - 0.96^2 / 2)
    "nadam": -RATE * SIGN * (0.48528 * 0.1 / (1 - 0.468 * 0.48528) + 1),
    "sgd": -RATE * G,
    "rmsprop": -RATE * SIGN / np.sqrt(0.1),
    "adagrad": -RATE * G / np.sqrt(0.1 + G**2),
    "lion": -RATE * SIGN,
    "lamb": -RATE * SIGN * np.linalg.norm(P) / 2,
    # In the first step, momentum and its correction cancel up to a factor, which does
    # not matter: all singular values become about 1.
    "muon": None,
}


def first_update(config, gradient=G):
    info = data.load("mnist-5k").info
    optimizer = make_optimizer(config, info)
    params = {"kernel": jnp.asarray(P, jnp.float32)}
    state = optimizer.init(params)
    grads = {"kernel": jnp.asarray(gradient, jnp.float32)}
    updates, state = optimizer.update(grads, state, params)
    again, _ = optimizer.update(grads, state, params)
    return updates["kernel"], again["kernel"]


def config_of(name, **options):
    options = {"learning_rate": RATE, "weight_decay": 0.0, **options}
    return configure("cnn", dataset="mnist-5k", optimizer=name, **options)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_first_update_follows_the_formula(name) -> None:
    update, _ = first_update(config_of(name))
    if name == "muon":
        sizes = np.linalg.svd(update, compute_uv=False) / (RATE * 0.2 * np.sqrt(2))
        assert np.all((0.6 < sizes) & (sizes < 1.3))
        assert np.sum(update * G) < 0
    else:
        np.testing.assert_allclose(update, FIRST[name], rtol=2e-4)
    if name != "lamb":  # which scales the decay, too
        decayed, _ = first_update(config_of(name, weight_decay=0.1))
        np.testing.assert_allclose(decayed, update - RATE * 0.1 * P, rtol=1e-4)
    own, _ = first_update(config_of(name, weight_decay=None))
    implied = OPTIMIZERS[name].weight_decay
    np.testing.assert_allclose(own, update - RATE * implied * P, rtol=2e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_hyperparameters_of_an_optimizer_may_be_traced(name) -> None:
    numbers = {"learning_rate": 0.25, "weight_decay": 0.2, "clip_norm": 0.5}
    numbers |= {"warmup": 0.001}
    if OPTIMIZERS[name].momentum is not None:
        numbers["momentum"] = 0.7
    plain = change(config_of(name), numbers)
    run = jax.jit(lambda numbers: first_update(change(config_of(name), numbers)))
    found = run(jax.tree.map(jnp.float32, numbers))
    for one, other in zip(found, first_update(plain), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_clipping_limits_the_norm_of_all_gradients() -> None:
    for name in ("sgd", "lion"):  # one of fdl.keras, one of optax
        clipped = first_update(config_of(name, clip_norm=0.1), 0.01 * G)
        plain = first_update(config_of(name), 0.01 * G)
        np.testing.assert_allclose(clipped, plain, rtol=1e-5)
    update, _ = first_update(config_of("sgd", clip_norm=0.1))
    assert np.linalg.norm(update) == pytest.approx(0.1 * RATE)


def test_momentum_carries_over() -> None:
    first, second = first_update(config_of("sgd", momentum=0.9))
    np.testing.assert_allclose(second, 1.9 * first, rtol=1e-5)


def test_defaults_follow_from_the_optimizer_and_the_schedule() -> None:
    assert configure("cnn").learning_rate == 1e-3
    assert configure("cnn", optimizer="sgd").learning_rate == 1e-2
    assert configure("cnn", schedule="cosine").learning_rate == 1e-3
    lion = configure("cnn", schedule="one-cycle", optimizer="lion")
    assert lion.learning_rate == pytest.approx(3e-4)
    changed = change(configure("cnn", optimizer="adamw"), {"optimizer": "muon"})
    assert settings(changed)["weight_decay"] == 0.0
    assert settings(changed)["momentum"] == 0.95


STEPS = 200
T = np.arange(STEPS + 1)


def expected(name, rise):
    t, length = np.maximum(T - rise, 0), STEPS - rise
    fall = {
        "constant": np.ones(len(T)),
        "cosine": (1 + np.cos(np.pi * t / length)) / 2,
        "exponential": 0.01 ** (t / length),
        "step": np.select([t < length / 2, t < 0.75 * length], [1, 0.1], 0.01),
        "inverse-sqrt": np.sqrt(max(rise, 1) / np.maximum(T, max(rise, 1))),
    }[name]
    return np.where(rise > T, T / max(rise, 1), fall)


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "one-cycle"])
def test_a_schedule_follows_its_formula(name) -> None:
    implied = 20 if name == "inverse-sqrt" else 0
    for warmup, rise in ((None, implied), (0.0, 0), (0.2, 40), (30.0, 30)):
        schedule = make_schedule(name, 0.5, STEPS, warmup=warmup)
        found = jax.vmap(schedule)(T) * jnp.ones(len(T))
        np.testing.assert_allclose(found, 0.5 * expected(name, rise), atol=2e-6)
        if warmup is not None:
            traced = jax.jit(
                lambda w: jax.vmap(make_schedule(name, 0.5, STEPS, warmup=w))(T)
            )
            np.testing.assert_allclose(traced(warmup), found, atol=1e-6)


def test_one_cycle_rises_and_falls() -> None:
    schedule = make_schedule("one-cycle", 0.5, STEPS)
    half = lambda t: (1 - np.cos(np.pi * t)) / 2
    assert float(schedule(30)) == pytest.approx(0.02 + 0.48 * half(30 / 60))
    assert float(schedule(130)) == pytest.approx(0.5 * (1 - half(70 / 140)), rel=1e-4)


def test_a_smaller_last_batch_is_a_step_of_the_schedule() -> None:
    info = data.load("mnist-5k").info._replace(train_count=1001)
    config = tasks.find("cnn").config(
        dataset="mnist-5k",
        schedule="one-cycle",
        learning_rate=0.5,
        epochs=10,
        batch_size=100,
    )
    schedule = learning_rate(config, info)
    # 11 steps an epoch, the last of them on one example: 110 in all, and the peak is
    # at 30 % of them.
    assert float(schedule(33)) == pytest.approx(0.5)
    assert float(schedule(30)) < 0.499
    assert float(schedule(109)) > float(schedule(110)) == pytest.approx(2e-5)


def test_bad_settings_are_refused_by_name() -> None:
    for wrong, message in (
        (
            {"optimizer": "sdg"},
            "no optimizer 'sdg'; did you mean 'sgd'. optimizers: adam",
        ),
        ({"schedule": "up"}, "no schedule 'up'; schedules: constant, one-cycle"),
        ({"momentum": 0.9}, "'adam' takes no momentum: .* sgd, rmsprop, muon"),
        ({"momentum": 1.0, "optimizer": "sgd"}, "momentum=1.0 must be in"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1 must be at least 0, or None"),
        ({"clip_norm": float("nan")}, "clip_norm=nan must be"),
        ({"warmup": 0.1, "schedule": "one-cycle"}, "'one-cycle' takes no warmup"),
    ):
        with pytest.raises(ValueError, match=message):
            configure("cnn", **wrong)
    with pytest.raises(ValueError, match=r"warmup=200.0 must be less than"):
        make_schedule("cosine", 0.1, STEPS, warmup=200.0)


def test_flags_reach_the_configuration() -> None:
    given = {
        "schedule": "step",
        "optimizer": "sgd",
        "weight_decay": 0.1,
        "momentum": 0.9,
        "clip_norm": 1.0,
        "warmup": 5.0,
    }

    class TrainCNN(ToTrain):
        task = tasks.describe("cnn")

    command = TrainCNN(training=Training(**given))
    assert command.configuration() == configure("cnn", **given)

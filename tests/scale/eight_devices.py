"""Checks, one function each, that need eight devices; one process runs all of them.

The number of CPU devices must be set before JAX starts, so the process of the other
tests cannot run them. Prints the error of each function, as JSON.
"""

import contextlib
import functools
import inspect
import json
import logging
import re
import sys
import tempfile
import traceback
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl.runs.states import restore_state, save_state, without_keys
from fdl.sharding import spread_many
from fdl.train.placement import Placement
from runs.small import few

COUNT = 8
members = import_module("fdl.train.many")
CHECKS = {}


def check(function):
    CHECKS[function.__name__] = function
    return function


@functools.cache
def mesh(count=COUNT, explicit=True):
    made = jax.make_mesh((count,), ("data",))
    return made if explicit else jax.sharding.Mesh(made.devices, ("data",))


def perceptron():
    model = fdl.models.MLP(10, dropout_rate=0.2)
    return fdl.learners.supervised(
        model, fdl.losses.cross_entropy, optax.sgd(0.05, 0.9)
    )


@functools.cache
def digits():
    return few(100)[:2]


def even(data):
    """Drop the smaller last batch, which needs another program."""
    return jax.tree.map(lambda x: x[:96], data)


def fit(**options):
    """Train on batches of 32 and a last one of 4, which 8 devices cannot share."""
    train, validation = digits()
    given = {"epochs": 3, "batch_size": 32, "key": 0, "validation_data": validation}
    return fdl.fit(perceptron(), train, **{**given, **options})


@functools.cache
def alone():
    return fit()


def assert_alike(one, other, bound=1e-5):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        if not jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            np.testing.assert_allclose(a, b, rtol=bound, atol=bound)


@functools.cache
def spread(shard="batch"):
    return fit(mesh=mesh(), shard=shard)


@contextlib.contextmanager
def compiled():
    """Yield the names of the programs that JAX compiles."""
    names = []

    class Names(logging.Handler):
        def emit(self, record):
            names.extend(re.findall("^Compiling (\\S+)", record.getMessage()))

    logger, handler = logging.getLogger("jax"), Names()
    logger.addHandler(handler)
    try:
        with jax.log_compiles():
            yield names
    finally:
        logger.removeHandler(handler)


def measures(history):
    return [(line.train, line.validation) for line in history]


@check
def fit_on_a_mesh_equals_fit_on_one_device():
    for shard in ("batch", "batch+state"):
        run = spread(shard)
        assert_alike(run.state, alone().state)
        for found, wanted in zip(run.history, alone().history, strict=True):
            assert found.train == pytest.approx(wanted.train, rel=1e-5)
            assert found.validation == pytest.approx(wanted.validation, rel=1e-5)
        devices = run.state.params["dense1"]["kernel"].devices()
        assert devices == set(jax.devices())


@check
def a_second_training_needs_no_new_program():
    spread(), alone()
    with compiled() as names:
        run = fit(mesh=mesh(explicit=False))
    assert names == []
    assert measures(run.history) == measures(spread().history)


@check
def a_sharded_state_takes_an_eighth_of_the_memory():
    state = spread("batch+state").state
    for tree in (state.params, state.opt_state):
        for x in jax.tree.leaves(tree):
            shared = any(size % COUNT == 0 for size in x.shape)
            (size,) = {part.data.size for part in x.addressable_shards}
            assert size == (x.size // COUNT if shared else x.size)
    kernel = state.params["dense1"]["kernel"]
    assert kernel.shape == (784, 128)
    assert kernel.sharding.spec == jax.P("data")


@check
def a_step_by_itself_leaves_a_state_sharded():
    batch = jax.tree.map(lambda x: x[:32], digits()[0])
    learner = fdl.learners.sharded(perceptron(), mesh(), "batch+state")
    state, _ = jax.jit(learner.step)(perceptron().init(0, batch), batch)
    assert state.params["dense1"]["kernel"].sharding.spec == jax.P("data")


@check
def each_device_computes_its_part_of_a_batch():
    learner = fdl.learners.sharded(perceptron(), mesh())
    batch = jax.tree.map(lambda x: x[:32], digits()[0])
    state = perceptron().init(0, batch)
    for function, inputs in (
        (learner.step, batch),
        (learner.evaluate, batch),
        (learner.predict, batch.image),
    ):
        text = jax.jit(function).lower(state, inputs).compile().as_text()
        assert "f32[4,784]" in text
        assert "f32[32,784]" not in text


@check
def a_tuned_learner_is_sharded_too():
    batch = jax.tree.map(lambda x: x[:32], digits()[0])
    one = fdl.tunable(lambda hparams: perceptron(), {"rate": 0.1})
    tuned = fdl.learners.sharded(one, mesh()).tune({"rate": 0.2})
    made = jax.make_jaxpr(tuned.step)(one.init(jax.random.key(0), batch), batch)
    assert "sharding_constraint" in str(made)


@check
def validation_uses_batches_that_devices_can_share():
    def noting(state, batch):
        sizes.append(len(batch.label))
        return one.evaluate(state, batch)

    one, sizes = perceptron(), []
    data = jax.tree.map(lambda x: np.repeat(x, 10, axis=0), digits()[1])
    options = {"epochs": 1, "batch_size": 32, "key": 0, "validation_data": data}
    run = fdl.fit(one._replace(evaluate=noting), digits()[0], mesh=mesh(), **options)
    assert {*sizes} == {504, 496}
    wanted = fdl.evaluate(one, run.state, data)
    assert run.history[-1].validation == pytest.approx(wanted, rel=1e-5)


@check
def no_device_gathers_the_examples_of_another():
    """Gradients of kernels are sums over all examples, in parts or over two axes."""
    image = np.zeros((64, 64, 64, 1), np.float32)
    for model, inputs in (
        (fdl.models.CNN(10), image),
        (fdl.models.LSTMClassifier(10, hidden_size=16), image[:, :28, :28, 0]),
    ):
        loss = fdl.losses.cross_entropy
        one = fdl.learners.supervised(model, loss, optax.sgd(0.1))
        batch = fdl.Batch(inputs, np.arange(64) % 10)
        step = jax.jit(fdl.learners.sharded(one, mesh()).step)
        state = jax.eval_shape(one.init, jax.random.key(0), batch)
        text = step.lower(state, batch).compile().as_text()
        assert "all-reduce" in text
        assert "all-gather" not in text, model


@check
def states_of_a_mesh_are_evaluated_and_predict():
    train, validation = digits()
    for shard in ("batch", "batch+state"):
        state = spread(shard).state
        for learner in (
            perceptron(),
            fdl.learners.sharded(perceptron(), mesh(), shard),
        ):
            found = fdl.evaluate(learner, state, validation, batch_size=48)
            assert found == pytest.approx(alone().history[-1].validation, rel=1e-5)
            np.testing.assert_allclose(
                fdl.predict(learner, state, train.image),
                fdl.predict(perceptron(), alone().state, train.image),
                atol=1e-5,
            )


@check
def early_stopping_returns_to_the_best_epoch():
    stopping = fdl.EarlyStopping("loss", "min", patience=1)
    options = {"early_stopping": stopping, "epochs": 30}
    wanted = fit(**options)
    assert wanted.epoch < len(wanted.history) < 30
    found = fit(mesh=mesh(), shard="batch+state", **options)
    assert found.epoch == wanted.epoch
    assert len(found.history) == len(wanted.history)
    assert_alike(found.state, wanted.state, 1e-4)


@check
def a_checkpoint_of_eight_devices_resumes_on_any_number(folder):
    options = {"shard": "batch+state"}
    begun = fit(mesh=mesh(), epochs=2, **options)
    save_state(folder / "state", jax.device_put(begun.state, jax.devices()[0]))
    state = restore_state(folder / "state", begun.state)
    assert_alike(state, begun.state, 0)
    for devices in (mesh(), mesh(2), None):
        run = fit(mesh=devices, state=state, history=begun.history, **options)
        assert_alike(run.state, alone().state)
        if devices == mesh():
            assert_alike(run.state, spread("batch+state").state, 0)
    run = fit(mesh=mesh(), state=run.state, history=run.history, epochs=4, **options)
    assert run.epoch == 4


@check
def a_state_is_restored_onto_the_devices_of_another(folder):
    state = spread("batch+state").state
    save_state(folder / "state", state)
    nowhere = jax.eval_shape(lambda x: x, alone().state)
    fewer = [
        Placement(mesh(count, explicit=False), "batch+state").state(alone().state)
        for count in (8, 4, 2, 1)
    ]
    for like in (*fewer, alone().state, nowhere):
        found = restore_state(folder / "state", like)
        assert_alike(without_keys(found), without_keys(state), 0)
        for x, wanted in zip(*map(jax.tree.leaves, (found, like)), strict=True):
            where = jax.sharding.SingleDeviceSharding(jax.devices()[0])
            assert x.sharding == (wanted.sharding or where)


@check
def a_run_resumes_on_other_devices_if_allowed(folder):
    def interrupt(*_):
        raise KeyboardInterrupt

    settings = {"dataset": "mnist-5k", "epochs": 2, "batch_size": 48}
    settings |= {"devices": COUNT, "shard": "batch+state"}
    with patch.object(fdl.tasks, "load", lambda *args, **options: few(96)):
        with pytest.raises(KeyboardInterrupt):
            fdl.runs.train("mlp", path=folder / "run", on_epoch=interrupt, **settings)
        run = fdl.runs.RunFolder.begun(folder / "run")
        assert {name: run.config()[name] for name in settings} == settings
        with pytest.raises(fdl.runs.RunError, match=r"devices=8, .*=2: .* to rounding"):
            fdl.runs.resume(run.path, devices=2)
        allowed = {"devices": 2, "allow_changes": True}
        with pytest.raises(KeyboardInterrupt):
            fdl.runs.resume(run.path, on_finish=interrupt, **allowed)
    assert len(run.history()) == 2


class Normed(linen.Module):
    @linen.compact
    def __call__(self, x, *, train=False):
        x = fdl.nn.Dense(8)(x.reshape(len(x), -1))
        x = fdl.nn.relu(fdl.nn.BatchNormalization()(x, train=train))
        return fdl.nn.Dense(10)(linen.Dropout(0.5, deterministic=not train)(x))


class Read(linen.Module):
    @linen.compact
    def __call__(self, x, *, train=False):
        x = x.reshape(len(x), 4, -1)
        return fdl.nn.Dense(10)(fdl.nn.LSTM(8)(x).outputs[:, -1])


def losses(model, data, devices):
    """Return the losses of updates in float64, on batches of 16 and the rest."""
    learner = fdl.learners.supervised(model, fdl.losses.cross_entropy, optax.sgd(0.1))
    state = learner.init(0, jax.tree.map(lambda x: x[:1], data))
    state = jax.tree.map(
        lambda x: x.astype(float) if jnp.issubdtype(x.dtype, jnp.floating) else x, state
    )
    if devices is not None:
        learner = fdl.learners.sharded(learner, devices, "batch+state")
    step, found = jax.jit(learner.step), []
    for first in range(0, len(data[1]), 16):
        part = slice(first, first + 16)
        batch = jax.tree.map(lambda x, part=part: x[part], data)
        state, measured = step(state, batch)
        found.append(fdl.metrics.compute(measured)["loss"])
    return found


def computes_the_same(model, words=False, count=32):
    rng = np.random.default_rng(0)
    inputs = rng.random((count, 16))
    if words:  # texts of different lengths, padded with 0
        lengths = rng.integers(3, 17, (count, 1))
        inputs = rng.integers(1, 9, (count, 16)) * (np.arange(16) < lengths)
    with jax.enable_x64(True):
        # Weighted, so that the mean of the devices' means would differ.
        data = (inputs, rng.integers(0, 10, count), rng.random(count))
        found = losses(model, data, mesh())
        assert np.isfinite(found).all(), found
        np.testing.assert_allclose(found, losses(model, data, None), rtol=1e-12)


@check
def batch_statistics_and_dropout_are_those_of_the_whole_batch():
    computes_the_same(Normed(), count=37)  # the last 5 cannot be divided


@check
def recurrent_networks_compute_the_same():
    computes_the_same(Read())


@check
def padded_sequences_compute_the_same():
    computes_the_same(
        fdl.models.TextCNN(10, 9, features=8, maps=4, widths=(3,)), words=True
    )


@check
def training_resumes_within_an_epoch():
    kept = {}

    def keep(state, sums):
        if int(state.step) == 6:
            kept.update(jax.tree.map(jnp.copy, {"state": state, "sums": sums}))

    options = {"mesh": mesh(), "shard": "batch+state"}
    whole = fit(on_part=keep, steps_per_chunk=1, **options)
    rest = fit(**kept, **options)
    lines = [[line.train for line in run.history] for run in (rest, whole)]
    assert lines[0] == lines[1][1:]  # the first line covers both parts
    assert_alike(rest.state, whole.state, 0)


@check
def stored_examples_are_sharded_like_those_in_memory():
    train, validation = map(fdl.data.stored, digits())
    bytes_of_a_step = 4 * 32 * (28 * 28 + 8)
    options = {"validation_data": validation, "stream_bytes": bytes_of_a_step}
    train = fdl.fit(
        perceptron(), train, epochs=3, batch_size=32, key=0, mesh=mesh(), **options
    )
    assert_alike(train.state, spread().state, bound=0)
    assert train.history[-1].validation == spread().history[-1].validation


@check
def a_learner_of_many_is_trained_on_a_mesh():
    train = even(digits()[0])
    learner = fdl.many(perceptron(), 3)
    options = {"epochs": 1, "batch_size": 32, "key": 0}
    wanted = fdl.fit(learner, train, **options)
    found = fdl.fit(learner, train, mesh=mesh(), shard="batch+state", **options)
    assert_alike(found.state, wanted.state)


def many(**options):
    """Train three members, which two devices cannot share equally."""

    def make_learner(hparams):
        model = fdl.models.MLP(10, hidden_sizes=(16,), dropout_rate=0.2)
        adam = optax.sgd(hparams["rate"])
        return fdl.learners.supervised(model, fdl.losses.cross_entropy, adam)

    rates = {"rate": np.array([1e-3, 1e-2, 3e-2])}
    given = {"epochs": 2, "batch_size": 32, "keys": range(3), "strategy": "vmap"}
    return fdl.fit_many(make_learner, rates, even(digits()[0]), **{**given, **options})


@check
def members_on_a_mesh_equal_those_on_one_device():
    validation = {"validation_data": digits()[1]}
    alone = many(**validation)
    both = jax.make_mesh((2, 4), ("members", "data"))
    # The next check has the axis of members alone.
    for devices in (both, mesh(2)):
        with patch.object(members, "spread_many", wraps=spread_many) as spread:
            run = many(mesh=devices, **validation)
        spread.assert_called()
        assert_alike(run.state, alone.state)
        for table in ("train", "validation"):
            assert_alike(getattr(run, table), getattr(alone, table))
        assert run.members_per_chunk % devices.shape.get("members", 1) == 0


@check
def members_equal_those_on_one_device_bit_for_bit():
    options = {"strategy": "map", "shuffle_key": 1}
    run = many(mesh=jax.make_mesh((2,), ("members",)), members_per_chunk=2, **options)
    assert_alike(run.state, many(members_per_chunk=1, **options).state, 0)


@check
def devices_train_members_without_communication():
    one = perceptron()
    devices = jax.sharding.Mesh(jax.devices(), ("members",))
    learner = spread_many(fdl.many(one, 16), fdl.many(one, 2), devices)
    batch = jax.tree.map(lambda x: x[:32], digits()[0])
    state = Placement(devices).state(fdl.many(one, 16).init(0, batch))
    step, predict = (
        jax.jit(function).lower(state, given).compile().as_text()
        for function, given in (
            (lambda *x: learner.step(*x)[0], batch),
            (learner.predict, batch.image),
        )
    )
    assert "f32[2,32,128]" in step
    assert "all-" not in step
    assert "f32[2,32,128]" in predict  # and predictions are gathered
    assert "f32[16,32,128]" not in predict


@check
def members_that_devices_cannot_share_are_refused():
    devices = jax.make_mesh((2, 4), ("members", "data"))
    with pytest.raises(ValueError, match=r"members_per_chunk=3 .* among 2 devices"):
        many(mesh=devices, members_per_chunk=3)
    with pytest.raises(ValueError, match=r"batch_size=30 .* 4 devices"):
        many(mesh=devices, batch_size=30)


@check
def divergence_is_reported_as_on_one_device():
    rate = lambda count: jnp.where(count == 5, jnp.nan, 0.1)
    model = fdl.models.MLP(10)
    learner = fdl.learners.supervised(model, fdl.losses.cross_entropy, optax.sgd(rate))
    data, found = even(digits()[0]), []
    for devices in (None, mesh()):
        with pytest.raises(fdl.DivergenceError) as caught:
            fdl.fit(learner, data, epochs=2, batch_size=32, key=0, mesh=devices)
        found.append(caught.value)
    assert found[0].step == found[1].step > 4
    assert_alike(found[0].state.params, found[1].state.params)


@check
def a_batch_that_devices_cannot_share_is_refused():
    with pytest.raises(ValueError, match=r"batch_size=30 .* 8 devices.* such as 32"):
        fit(mesh=mesh(), batch_size=30)


def main() -> None:
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_disable_most_optimizations", True)
    wanted, found = sys.argv[1:] or list(CHECKS), {}
    for name in wanted:
        found[name] = None
        try:
            with tempfile.TemporaryDirectory() as folder:
                given = inspect.signature(CHECKS[name]).parameters
                CHECKS[name](*[Path(folder)] * len(given))
        except Exception:
            found[name] = traceback.format_exc()
    print(json.dumps(found))


if __name__ == "__main__":
    main()

"""Training many members at once: each equals its single run."""

import functools

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import learners, losses, models, nn
from fdl.keras.graph.read import read_model
from fdl.train import EarlyStopping, chunk, many
from fdl.train.loop import Loop
from fdl.train.steps import draw_order, key_words


def make_data(n=50, seed=0, size=(6, 5)):
    rng = np.random.default_rng(seed)
    return fdl.Batch(
        rng.integers(0, 256, (n, *size, 1), np.uint8),
        rng.integers(0, 10, n).astype(np.int32),
    )


def mlp(hp):
    loss = functools.partial(
        losses.cross_entropy, label_smoothing=hp["label_smoothing"]
    )
    optimizer = fdl.keras.adamw(
        hp["learning_rate"], weight_decay=hp["weight_decay"], beta_1=hp["beta_1"]
    )
    model = models.MLP(10, hidden_sizes=(16,), dropout_rate=hp["dropout_rate"])
    return learners.supervised(model, loss, optimizer)


def seeds_only(make):
    """Adapt a function of the learning rate to a dictionary of hyperparameters."""
    return lambda hp: make(hp["learning_rate"])


def coders():
    """Return a small encoder and decoder for the images of `make_data`."""
    return models.DenseEncoder((8,)), models.DenseDecoder((8,), (6, 5, 1))


def vae(rate):
    return learners.variational(models.VAE(3, *coders()), optax.adam(rate))


def gan(rate):
    return learners.adversarial(
        models.DenseGenerator((6, 5, 1)),
        models.DenseDiscriminator(),
        losses.wasserstein_gp,
        optax.adam(rate),
        fdl.keras.adam(rate, 0.5),
        latent_size=4,
        discriminator_steps=2,
    )


def autoencoder(rate):
    return learners.reconstructive(
        models.Autoencoder(3, *coders()), optax.sgd(rate), noise=0.2
    )


class Convolutional(linen.Module):
    @linen.compact
    def __call__(self, image):
        x = nn.max_pool(nn.relu(nn.Conv2D(4, (3, 3))(image)), (2, 2))
        return nn.Dense(10)(x.reshape(len(x), -1))


def cnn(rate):
    return learners.supervised(Convolutional(), losses.cross_entropy, optax.adam(rate))


def lstm(rate):
    return learners.supervised(
        models.LSTMClassifier(10, hidden_size=8),
        losses.cross_entropy,
        optax.adam(rate),
        preprocess=lambda x: jnp.float32(x[..., 0]) / 255,
    )


def layer(kind, **options):
    return {"class_name": kind, "config": {"name": kind.lower(), **options}}


IMPORTED = [
    layer("InputLayer", batch_shape=[None, 6, 5, 1]),
    layer("Flatten"),
    layer("BatchNormalization", momentum=0.5),
    layer("Dropout", rate=0.5),
    layer("Dense", units=10, kernel_regularizer={"class_name": "L2", "config": {}}),
]


def imported(rate):
    config = {"name": "net", "layers": IMPORTED}
    graph = read_model({"class_name": "Sequential", "config": config})
    model = fdl.keras.KerasModel(graph)
    return learners.supervised(
        model,
        losses.cross_entropy,
        optax.adam(rate),
        preprocess=lambda x: jnp.float32(x) / 255,
    )


MLP = {
    "learning_rate": np.array([1e-3, 3e-3, 1e-2]),
    "weight_decay": np.array([0.0, 0.1, 0.01]),
    "beta_1": np.array([0.9, 0.5, 0.8]),
    "dropout_rate": np.array([0.5, 0.0, 0.2]),
    "label_smoothing": np.array([0.0, 0.1, 0.2]),
}
RATES = {"learning_rate": np.array([1e-3, 3e-3, 1e-2])}
KEYS = jax.random.split(jax.random.key(7), 3)
SHARED = jax.random.key(3)


def augmented(rate):
    return learners.augmented(cnn(rate), fdl.data.augment.shift(1))


# Batches of equal size compile one program fewer. Members that share a learner are
# trained on a smaller last batch, too.
EVEN = make_data(48)
KINDS = {
    "supervised": (mlp, MLP, EVEN),
    "augmented": (seeds_only(augmented), RATES, make_data(24)),
    "recurrent": (seeds_only(lstm), RATES, make_data(24)),
    "imported": (seeds_only(imported), RATES, make_data(24)),
    "variational": (seeds_only(vae), RATES, make_data(24)),
    "adversarial": (seeds_only(gan), RATES, make_data(24)),
    "reconstructive": (seeds_only(autoencoder), RATES, make_data(24)),
}


def plain(hparams, k):
    return {name: float(values[k]) for name, values in hparams.items()}


def fit_many(kind="supervised", **options):
    make_learner, hparams, data = KINDS[kind]
    given = {"hparams": hparams, "data": data, "keys": KEYS}
    given |= {"epochs": 2, "batch_size": 8, **options}
    return fdl.fit_many(make_learner, **given)


@functools.cache
def single(kind, k, *, shared_order=False):
    """Return the learner and the single run that member k must equal."""
    make_learner, hparams, data = KINDS[kind]
    learner = fdl.tunable(make_learner, plain(hparams, k))
    run = fdl.fit(
        learner,
        data,
        epochs=2,
        batch_size=8,
        key=KEYS[k],
        shuffle_key=SHARED if shared_order else None,
        validation_data=data if kind == "supervised" and not shared_order else None,
    )
    return learner, run


def close(a, b, tolerance=1e-5):
    def compare(x, y):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)

    jax.tree.map(compare, a, b)


@pytest.mark.parametrize(
    ("kind", "strategy"),
    [("supervised", "map")] + [(kind, "vmap") for kind in KINDS],
)
def test_a_member_of_many_equals_its_single_run(kind, strategy) -> None:
    test = EVEN if kind == "supervised" else None
    run = fit_many(kind, strategy=strategy, members_per_chunk=3, validation_data=test)
    # Where only the rate differs, the last member is enough.
    for k in range(3) if kind == "supervised" else [2]:
        _, one = single(kind, k)
        # Adam's first steps are signs: rounding in a small gradient moves its
        # parameter by a fraction of the rate.
        close(fdl.member(run.state, k), one.state, 2e-4)
        for epoch in range(2):
            for which in ("train", "validation"):
                found = {n: x[k, epoch] for n, x in getattr(run, which).items()}
                line = getattr(one.history[epoch], which)
                assert found == pytest.approx(line, rel=1e-4), (k, epoch, which)
    assert run.strategy == strategy


@pytest.mark.parametrize("kind", KINDS)
def test_evaluation_and_prediction_do_not_depend_on_the_batch_size(kind) -> None:
    data = make_data(24)
    # A trained state, whose averages and statistics have moved.
    learner, (state, *_) = single(kind, 2)
    latents = np.random.default_rng(0).normal(size=(24, 4))
    inputs = np.float32(latents) if kind == "adversarial" else data.image
    # Batches of 16 and of 8 examples, which must be weighted by size.
    whole = fdl.evaluate(learner, state, data, batch_size=16)
    answers = fdl.predict(learner, state, inputs, batch_size=16)
    parts = fdl.evaluate(learner, state, data, batch_size=8)
    assert parts == pytest.approx(whole, rel=1e-4, abs=1e-5)
    found = fdl.predict(learner, state, inputs, batch_size=8)
    np.testing.assert_allclose(found, answers, rtol=1e-4, atol=1e-5)
    # Nor do they depend on the order of the examples or on the key.
    other = state._replace(key=jax.random.key(99))
    backwards = jax.tree.map(lambda x: x[::-1].copy(), data)
    assert fdl.evaluate(learner, other, backwards, batch_size=8) == pytest.approx(
        whole, rel=1e-4, abs=1e-5
    )


def test_many_is_a_learner_of_members() -> None:
    """The same by hand, without `fit`: init, step and predict are mapped."""
    data = make_data(8)
    one = fdl.tunable(mlp, plain(MLP, 0))

    def results_of(learner, key):
        """Return the results of init, step and predict."""
        state = learner.init(key, data)
        stepped, measured = learner.step(state, data)
        return state, stepped, measured, learner.predict(stepped, data.image)

    # One program for all members, which takes the hyperparameters.
    single_program = jax.jit(lambda hparams, key: results_of(one.tune(hparams), key))
    separate = [single_program(fdl.member(MLP, k), KEYS[k]) for k in range(3)]
    for strategy in ("vmap", "map"):
        learner = fdl.many(one, 3, hparams=MLP, strategy=strategy)
        found = jax.jit(functools.partial(results_of, learner))(KEYS)
        for k in range(3):
            for result, wanted, tolerance in zip(
                found, separate[k], (1e-6, 2e-4, 1e-4, 1e-3), strict=True
            ):
                close(fdl.member(result, k), wanted, tolerance)
    # One key is split, and all members get the learner's own hyperparameters.
    seeds = fdl.many(one, 3)
    state = seeds.init(KEYS[0], data)
    assert len({float(x) for x in state.params["head"]["kernel"][:, 0, 0]}) == 3
    np.testing.assert_allclose(state.hparams["dropout_rate"], 0.5)
    with pytest.raises(ValueError, match="n=0"):
        fdl.many(one, 0)
    with pytest.raises(ValueError, match="make it with tunable"):
        fdl.many(mlp(plain(MLP, 0)), 3, hparams=MLP)


def test_a_step_uses_the_hyperparameters_in_the_state() -> None:
    learner = fdl.tunable(mlp, plain(MLP, 0))
    state = learner.init(KEYS[0], make_data())
    frozen = state._replace(
        hparams=state.hparams
        | {"learning_rate": jnp.float32(0), "weight_decay": jnp.float32(0)}
    )
    after, _ = jax.jit(learner.step)(frozen, make_data())
    close(after.params, state.params, 0)
    moved, _ = jax.jit(learner.step)(state, make_data())
    assert np.abs(moved.params["head"]["bias"]).max() > 1e-4


@pytest.mark.parametrize("mode", ["max", "min"])
def test_the_best_epoch_is_found_in_both_modes(mode) -> None:
    test = make_data(20, seed=1)
    for single in (True, False):
        options = {
            "epochs": 6,
            "batch_size": 8,
            "validation_data": test,
            "early_stopping": EarlyStopping("loss", mode),
        }
        hparams = {**MLP, "learning_rate": np.array([1e-2, 3e-2, 1e-1])}
        if single:
            one = fdl.tunable(mlp, plain(hparams, 1))
            run = fdl.fit(one, make_data(48), key=KEYS[1], **options)
            losses_of = np.array([[line.validation["loss"] for line in run.history]])
            found, state = [run.epoch], run.state
        else:
            run = fit_many(hparams=hparams, **options)
            losses_of, found = run.validation["loss"], run.epoch
            one, state = mlp(plain(hparams, 1)), fdl.member(run.state, 1)
        best = losses_of.argmax(1) if mode == "max" else losses_of.argmin(1)
        np.testing.assert_array_equal(found, best + 1)
        # The state comes from this epoch.
        k = 0 if single else 1
        measured = fdl.evaluate(one, state, test)["loss"]
        assert measured == pytest.approx(losses_of[k, best[k]], rel=1e-4)


def test_members_differ_by_key_and_by_every_hyperparameter() -> None:
    same = {name: np.full(3, values[0]) for name, values in MLP.items()}
    head = lambda run: np.asarray(run.state.params["head"]["kernel"])
    one_key = jnp.stack([KEYS[0]] * 3)
    by_key = head(fit_many(hparams=same))
    assert np.abs(by_key[0] - by_key[1]).max() > 1e-3
    base = head(fit_many(hparams=same, keys=one_key))
    np.testing.assert_array_equal(base[0], base[1])
    for name in MLP:
        other = head(fit_many(hparams={**same, name: MLP[name]}, keys=one_key))
        assert np.abs(other[1] - base[1]).max() > 1e-4, name


@pytest.mark.parametrize("strategy", ["vmap", "map"])
def test_members_can_share_their_batches(strategy) -> None:
    options = {"strategy": strategy, "members_per_chunk": 3}
    run = fit_many(shuffle_key=SHARED, **options)
    for k in (0, 2):
        _, one = single("supervised", k, shared_order=True)
        close(fdl.member(run.state, k), one.state, 2e-4)


@pytest.mark.parametrize("strategy", ["vmap", "map"])
@pytest.mark.parametrize("count", [3, 1])  # more and fewer than a chunk holds
def test_chunks_do_not_change_the_result(strategy, count) -> None:
    whole = fit_many(strategy="map", members_per_chunk=1)
    some = {"hparams": {n: v[:count] for n, v in MLP.items()}, "keys": KEYS[:count]}
    run = fit_many(strategy=strategy, members_per_chunk=2, **some)
    close(run.state, fdl.member(whole.state, slice(count)), 2e-4)
    assert run.members_per_chunk == 2
    assert run.train["loss"].shape == (count, 2)
    np.testing.assert_allclose(
        run.train["loss"], whole.train["loss"][:count], rtol=1e-4
    )


@pytest.fixture
def compiled():
    """Record the programs that XLA compiles during the test."""
    programs = []
    record = lambda name, *_, **__: (
        programs.append(name)
        if name == "/jax/core/compile/backend_compile_duration"
        else None
    )
    jax.monitoring.register_event_duration_secs_listener(record)
    jax.jit(lambda: 0)()
    assert programs, "JAX reports compilations"
    programs.clear()
    yield programs
    jax.monitoring.unregister_event_duration_listener(record)


def test_new_hyperparameter_values_compile_nothing(compiled) -> None:
    def run(values):
        same = {name: np.full(len(values), x[0]) for name, x in MLP.items()}
        return fit_many(
            hparams={**same, "learning_rate": np.array(values)},
            keys=jax.random.split(jax.random.key(0), len(values)),
            strategy="vmap",
            members_per_chunk=2,
        )

    run([0.1 / i for i in range(1, 13)])
    compiled.clear()
    run([0.2 / i for i in range(1, 13)])
    assert compiled == []


@pytest.mark.parametrize(
    "optimizer", [fdl.keras.adam, optax.inject_hyperparams(optax.adam)]
)
def test_learners_that_differ_in_the_rate_share_a_program(compiled, optimizer) -> None:
    def run(rate):
        model = models.MLP(10, hidden_sizes=(16,))
        learner = learners.supervised(model, losses.cross_entropy, optimizer(rate))
        return (
            fdl.fit(learner, EVEN, epochs=1, batch_size=8, key=KEYS[0])
            .history[-1]
            .train["loss"]
        )

    first = run(1e-3)
    compiled.clear()
    others = [run(1e-2), run(1e-1)]
    # Only the few operations of an optimizer's init that contain its rate.
    assert len(compiled) <= 2
    assert len({first, *others}) == 3


@pytest.mark.parametrize(("place", "step"), [(0, 0), (24, 3)])
def test_the_step_at_which_a_member_diverges_is_found(place, step) -> None:
    """One of four batches has an infinite loss: the first, or the smaller last one."""

    def make(hp):
        def loss(outputs, targets):
            bad = jnp.where((targets == 9) & (hp["bad"] > 0), jnp.inf, 0.0)
            return losses.cross_entropy(outputs, targets) + bad

        model = models.MLP(10, hidden_sizes=(4,))
        return learners.supervised(model, loss, optax.sgd(0.1))

    data = make_data(25)
    order_key = jax.random.split(KEYS[0])[1]
    order = draw_order(key_words(order_key), 0, 25, 0)
    label = np.zeros(25, np.int32)
    label[order[place]] = 9
    run = fdl.fit_many(
        make,
        {"bad": np.array([0.0, 1.0])},
        data._replace(label=label),
        epochs=1,
        batch_size=8,
        keys=jnp.stack([KEYS[0], KEYS[0]]),
        strategy="vmap",
    )
    np.testing.assert_array_equal(run.diverged, [-1, step])
    np.testing.assert_array_equal(run.epoch, [1, 0])


def test_a_diverging_member_is_frozen_and_affects_no_other() -> None:
    hparams = {**MLP, "learning_rate": np.array([1e-3, 1e38, 3e-3])}
    lines = []
    run = fit_many(
        hparams=hparams,
        strategy="vmap",
        epochs=3,
        validation_data=make_data(20),
        on_epoch=lambda members, line, state: lines.append((members, line)),
    )
    assert run.diverged[0] == run.diverged[2] == -1
    assert 0 <= run.diverged[1] < 7
    np.testing.assert_array_equal(run.epoch, [3, 0, 3])
    assert np.isnan(run.train["loss"][1]).all()
    assert np.isnan(run.validation["loss"][1]).all()
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(run.state.params))
    assert int(run.state.step[1]) == 0
    calm = fit_many(
        hparams={n: v[[0, 2]] for n, v in MLP.items()}
        | {"learning_rate": np.array([1e-3, 3e-3])},
        keys=KEYS[np.array([0, 2])],
        epochs=3,
        strategy="vmap",
    )
    close(fdl.member(run.state, np.array([0, 2])), calm.state, 2e-4)
    found = [dict(zip(some, line.running, strict=True)) for some, line in lines]
    assert [line[1] for line in found if 1 in line] != []
    assert not any(line[1] for line in found if 1 in line)


def test_members_stop_early_with_their_best_state() -> None:
    test = make_data(20, seed=1)
    stopping = EarlyStopping("loss", mode="min", patience=2)
    # Noise cannot be learned: a high rate soon raises the validation loss.
    hparams = {**MLP, "learning_rate": np.array([1e-4, 3e-2, 1e-1])}
    run = fit_many(
        hparams=hparams,
        validation_data=test,
        epochs=12,
        early_stopping=stopping,
        strategy="vmap",
        members_per_chunk=3,
    )
    for k in range(3):
        loss = run.validation["loss"][k]
        trained = np.flatnonzero(~np.isnan(loss))
        best = int(np.nanargmin(loss)) + 1
        assert run.epoch[k] == best
        assert len(trained) == min(12, best + 2)
        learner = mlp(plain(hparams, k))
        measured = fdl.evaluate(learner, fdl.member(run.state, k), test)
        assert measured["loss"] == pytest.approx(loss[best - 1], rel=1e-4)
    assert (run.epoch < 12).any()
    last = fit_many(
        hparams=hparams,
        validation_data=test,
        epochs=12,
        early_stopping=stopping._replace(restore_best=False),
        strategy="vmap",
        members_per_chunk=3,
    )
    assert (last.epoch >= run.epoch).all()
    assert (last.epoch > run.epoch).any()
    np.testing.assert_array_equal(last.state.step, last.epoch * 6)


def test_fit_many_resumes_from_a_state() -> None:
    whole = fit_many(epochs=3, strategy="vmap")
    half = fit_many(epochs=1, strategy="vmap")
    rest = fit_many(epochs=3, strategy="vmap", state=half.state)
    close(rest.state, whole.state, 1e-6)
    assert np.isnan(rest.train["loss"][:, 0]).all()
    np.testing.assert_allclose(rest.train["loss"][:, 1:], whole.train["loss"][:, 1:])


@pytest.mark.parametrize(
    ("strategy", "stopping"),
    [("vmap", None), ("map", EarlyStopping("loss", "max", patience=1))],
)
def test_a_chunk_resumes_bit_for_bit(strategy, stopping) -> None:
    hparams = {**MLP, "learning_rate": np.array([1e-3, 1e38, 3e-2])}  # one diverges
    plan, lines, states = [], [], []

    def keep(members, line, state):
        lines.append(line)
        states.append(jax.tree.map(jnp.copy, state))

    options = {
        "hparams": hparams,
        "validation_data": make_data(20, seed=1),
        "early_stopping": stopping and stopping._replace(restore_best=False),
        "epochs": 4,
    }
    whole = fit_many(
        **options,
        strategy=strategy,
        members_per_chunk=3,
        on_epoch=keep,
        on_start=lambda *how: plan.extend(how),
    )
    assert plan == [strategy, 3]
    assert whole.diverged[1] >= 0
    assert whole.epoch.tolist() == [4, 0, 4 if stopping is None else 3]
    for done in range(1, len(lines) + 1):
        rest = fit_many(
            **options,
            strategy=plan[0],
            members_per_chunk=plan[1],
            state=states[done - 1],
            history=lines[:done],
        )
        close(rest.state, whole.state, 0)
        for name in ("epoch", "diverged"):
            np.testing.assert_array_equal(getattr(rest, name), getattr(whole, name))
        for ours, theirs in (
            (rest.train, whole.train),
            (rest.validation, whole.validation),
        ):
            jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_a_chunk_fits_into_memory(monkeypatch) -> None:
    whole = fit_many(strategy="vmap")
    monkeypatch.setattr(many, "free_bytes", lambda *_: 1)
    small = fit_many(strategy="vmap")
    assert small.members_per_chunk == 1
    close(small.state, whole.state, 2e-4)


def test_on_end_gets_members_with_their_states() -> None:
    ends = []
    record = lambda members, end: ends.append((members, end))
    run = fit_many(strategy="vmap", members_per_chunk=2, on_end=record)
    assert [members.tolist() for members, _ in ends] == [[0, 1], [2]]
    for members, end in ends:
        close(end.state, fdl.member(run.state, members), 0)
        assert len(end.epoch) == len(end.diverged) == len(members)


def test_an_error_in_a_callback_is_raised() -> None:
    class Enough(Exception):
        pass

    def stop(members, line, state):
        raise Enough

    with pytest.raises(Enough):
        fit_many(strategy="map", epochs=200, on_epoch=stop)


def prepared(learner, data, batch_size):
    return Loop.prepare(
        learner,
        data,
        key=KEYS[0],
        batch_size=batch_size,
        shuffle_key=None,
        validation_data=None,
        early_stopping=None,
    )


def test_small_steps_are_vmapped_and_large_ones_are_not() -> None:
    data = make_data(64, size=(28, 28))
    for learner, strategy in ((mlp(plain(MLP, 0)), "vmap"), (lstm(1e-3), "vmap")):
        assert chunk.fastest(prepared(learner, data, 8), learner, KEYS[0]) == strategy
    large = learners.supervised(models.CNN(10), losses.cross_entropy, optax.adam(1e-3))
    assert chunk.fastest(prepared(large, data, 64), large, KEYS[0]) == "map"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"members_per_chunk": 0}, "members_per_chunk=0"),
        ({"keys": KEYS[:2]}, "must count members"),
        ({"keys": KEYS[:0]}, "keys is empty"),
        ({"hparams": {**MLP, "beta_1": np.array([0.9, 0.9, 2.0])}}, "member 2"),
        ({"early_stopping": EarlyStopping("loss")}, "needs validation_data"),
        (
            {"early_stopping": EarlyStopping("beauty"), "validation_data": make_data()},
            "monitor='beauty'",
        ),
        (
            {
                "early_stopping": EarlyStopping("loss", "up"),
                "validation_data": make_data(),
            },
            "mode='up'",
        ),
        (
            {
                "early_stopping": EarlyStopping("loss", patience=0),
                "validation_data": make_data(),
            },
            "patience=0",
        ),
    ],
)
def test_bad_arguments_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        fit_many(**options)


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(ValueError, match="strategy='pmap'"):
        many._check(1, 1, None, None, "pmap")


def test_bad_data_are_refused() -> None:
    with pytest.raises(fdl.data.DataError):
        fit_many(data=make_data(4))


def test_a_state_with_another_number_of_members_is_refused() -> None:
    half = fit_many(epochs=1)
    with pytest.raises(ValueError, match="must have 2 members"):
        fit_many(
            hparams={n: v[:2] for n, v in MLP.items()}, keys=KEYS[:2], state=half.state
        )


def test_ensemble_is_the_mean_of_its_members() -> None:
    data = make_data()
    run = fit_many()
    learner = mlp(plain(MLP, 0))
    each = fdl.predict_many(learner, run.state, data.image, batch_size=25)
    assert each.shape == (3, 50, 10)
    separate = fdl.predict(learner, fdl.member(run.state, 1), data.image)
    np.testing.assert_allclose(each[1], separate, rtol=1e-6)
    mean = fdl.ensemble(learner, run.state, data.image)
    np.testing.assert_allclose(mean, each.mean(axis=0), rtol=1e-6)


def test_a_wrong_number_of_keys_is_refused() -> None:
    learner = fdl.many(make_one(), 3)
    for count in (2, 4):
        keys = jax.random.split(jax.random.key(0), count)
        with pytest.raises(ValueError, match=rf"\({count},\), but there are 3 members"):
            fdl.fit(learner, make_data(), epochs=1, batch_size=8, key=keys)


def make_one():
    return learners.supervised(models.MLP(3), losses.cross_entropy, optax.sgd(0.1))


def test_members_may_share_a_learner_with_hyperparameters_of_its_own() -> None:
    data, one = make_data(), fdl.tunable(mlp, plain(MLP, 0))
    options = {"epochs": 1, "batch_size": 20}
    run = fdl.fit_many(
        lambda hparams: one, {}, data, keys=range(2), strategy="vmap", **options
    )
    wanted = fdl.fit(one, data, key=1, **options)
    close(fdl.member(run.state.params, 1), wanted.state.params)
    message = "has no hyperparameters, but the learner takes the hyperparameters beta_1"
    with pytest.raises(ValueError, match=message):
        fdl.predict_many(one, run.state, data.image)

"""The training loop."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import metrics
from fdl.programs import _program
from fdl.train import loop
from fdl.train.steps import draw_order, key_words


def make_learner(optimizer=None, dropout_rate=0.0):
    model = fdl.models.MLP(10, hidden_sizes=(16,), dropout_rate=dropout_rate)
    return fdl.learners.supervised(
        model, fdl.losses.cross_entropy, optimizer or optax.adam(1e-3)
    )


def make_data(n=50, seed=0):
    rng = np.random.default_rng(seed)
    return fdl.Batch(
        rng.integers(0, 256, (n, 6, 5, 1), np.uint8),
        rng.integers(0, 10, n).astype(np.int32),
    )


@pytest.fixture(scope="module")
def learner():
    return make_learner(dropout_rate=0.3)


def fit(learner, data=None, **options):
    options = {"epochs": 2, "batch_size": 8, "key": jax.random.key(0), **options}
    return fdl.fit(learner, make_data() if data is None else data, **options)


def by_hand(learner, data, key):
    """Train in a Python loop; yield each state, and the metrics of the step before it.

    Two epochs of 50 examples are 14 steps: batches of 8, and one of 2 in each epoch.
    """
    init_key, order_key = jax.random.split(key)
    state = jax.jit(learner.init)(init_key, data)
    yield state, None
    step = jax.jit(learner.step)
    for epoch in range(2):
        order = draw_order(key_words(order_key), epoch, 50, 0)
        for first in range(0, 50, 8):
            rows = np.asarray(order[first : first + 8])
            state, measured = step(state, jax.tree.map(lambda x, r=rows: x[r], data))
            yield state, measured


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, *map(plain, (a, b)))


def plain(state):
    return state._replace(key=jax.random.key_data(state.key))


def test_fit_equals_a_python_loop(learner) -> None:
    data, key = make_data(), jax.random.key(5)
    *_, (state, _) = steps = list(by_hand(learner, data, key))
    totals = [measured for _, measured in steps[-7:]]
    run = fit(learner, data, key=key)
    assert int(run.state.step) == int(state.step) == 14
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        run.state.params,
        state.params,
    )
    loss = sum(float(t["loss"].total) for t in totals) / 50
    assert run.history[-1].train["loss"] == pytest.approx(loss, rel=1e-5)


def test_every_example_is_seen_once_per_epoch() -> None:
    # A learner that only counts how often it has seen each example.
    def step(state, batch):
        seen = state.params.at[batch].add(1.0)
        state = state._replace(step=state.step + 1, params=seen)
        return state, {"loss": metrics.mean(jnp.zeros(batch.shape))}

    def init(key, batch):
        return fdl.State(jnp.int32(0), jnp.zeros(50), key)

    counter = fdl.Learner(init, step, lambda s, b: {}, lambda s, x: x)
    run = fit(counter, np.arange(50), epochs=3, steps_per_chunk=4)
    np.testing.assert_array_equal(run.state.params, 3.0)


def recorder(steps):
    """Return a learner whose parameters record the examples of each step."""

    def step(state, batch):
        seen = state.params.at[state.step, : len(batch)].set(batch)
        state = state._replace(step=state.step + 1, params=seen)
        return state, {"loss": metrics.mean(jnp.zeros(batch.shape))}

    def init(key, batch):
        return fdl.State(jnp.int32(0), jnp.full((steps, 8), -1), key)

    return fdl.Learner(init, step, lambda s, b: {}, lambda s, x: x)


def orders(key, epochs=3, **options):
    """Return the order in which each epoch visits 50 examples."""
    data = np.arange(50)
    run = fit(recorder(epochs * 7), data, epochs=epochs, key=key, **options)
    return np.asarray(run.state.params).reshape(epochs, -1)


def test_examples_are_shuffled_differently_in_each_epoch_by_the_key() -> None:
    found = orders(jax.random.key(0))
    visited = [epoch[epoch >= 0] for epoch in found]
    for epoch in visited:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(50))
        assert (epoch != np.arange(50)).sum() > 30  # not in the order of the data
        assert (np.diff(epoch) == 1).sum() < 10  # nor in long runs of it
    for a, b in ((0, 1), (1, 2), (0, 2)):
        assert (visited[a] != visited[b]).sum() > 30
    np.testing.assert_array_equal(found, orders(jax.random.key(0)))
    assert (found != orders(jax.random.key(1))).mean() > 0.5
    # With a separate key for the order, the run's key does not affect it.
    shared = [orders(jax.random.key(k), shuffle_key=jax.random.key(5)) for k in (0, 1)]
    np.testing.assert_array_equal(*shared)
    assert (shared[0] != found).mean() > 0.5


@pytest.mark.parametrize("done", [5, 6, 7])
def test_fit_resumes_before_and_after_the_smaller_last_batch(done) -> None:
    data, learner = np.arange(50), recorder(14)
    whole = fit(learner, data, epochs=2)
    state = learner.init(jax.random.key(0), data)._replace(step=jnp.int32(done))
    rest = fit(learner, data, epochs=2, state=state)
    assert int(rest.state.step) == 14
    np.testing.assert_array_equal(
        rest.state.params[done:], np.asarray(whole.state.params)[done:]
    )


def test_batches_of_all_buckets_are_shuffled_together() -> None:
    short, long = np.arange(20), np.stack([np.arange(20, 43)] * 2, axis=1)
    parts = fdl.Buckets((short, long))

    def step(state, batch):
        ids = batch if batch.ndim == 1 else batch[:, 0]
        seen = state.params.at[state.step, : len(ids)].set(ids)
        state = state._replace(step=state.step + 1, params=seen)
        return state, {"loss": metrics.mean(jnp.zeros(ids.shape))}

    def init(key, batch):
        return fdl.State(jnp.int32(0), jnp.full((14, 8), -1), key)

    learner = fdl.Learner(init, step, lambda s, b: {"n": metrics.mean(b)}, None)
    run = fit(learner, parts, epochs=2, validation_data=parts)
    seen = np.asarray(run.state.params)
    assert int(run.state.step) == 2 * (3 + 3)
    epochs = seen[:6], seen[6:12]
    for epoch in epochs:
        ids = epoch[epoch >= 0]
        np.testing.assert_array_equal(np.sort(ids), np.arange(43))
    is_long = [[bool((row[row >= 0] >= 20).all()) for row in epoch] for epoch in epochs]
    assert any(kinds not in (sorted(kinds), sorted(kinds)[::-1]) for kinds in is_long)
    assert is_long[0] != is_long[1]
    # Resuming in the middle of an epoch visits the rest of it.
    half = learner.init(jax.random.key(0), short)._replace(step=jnp.int32(4))
    rest = fit(learner, parts, epochs=2, state=half)
    np.testing.assert_array_equal(rest.state.params[4:12], seen[4:12])
    # Member k equals the single run, although each has its own order.
    keys = jax.random.split(jax.random.key(3))
    both = fit(fdl.many(learner, 2), parts, key=keys)
    for k in range(2):
        one = fit(learner, parts, key=keys[k])
        np.testing.assert_array_equal(both.state.params[k], one.state.params)


@pytest.mark.parametrize("steps_per_chunk", [1, 3, 100])
def test_chunks_do_not_change_the_result(learner, steps_per_chunk) -> None:
    whole = fit(learner)
    seen = []
    run = fit(
        learner,
        steps_per_chunk=steps_per_chunk,
        on_chunk=lambda step, measured, state: seen.append(step),
    )
    same(run.state, whole.state)
    assert [e.train for e in run.history] == [e.train for e in whole.history]
    assert seen[-1] == 14
    assert seen == sorted(set(seen))
    assert len(seen) == 2 * (math.ceil(6 / steps_per_chunk) + 1)


def test_the_key_determines_the_result(learner) -> None:
    first, again, other = (fit(learner, key=jax.random.key(k)) for k in (1, 1, 2))
    same(first.state, again.state)
    head = lambda run: run.state.params["head"]["kernel"]
    assert np.abs(head(first) - head(other)).max() > 1e-3


def test_fit_resumes_from_a_state(learner) -> None:
    whole = fit(learner, epochs=4)
    half = fit(learner, epochs=2)
    before = plain(jax.tree.map(lambda x: x.copy(), half.state))
    rest = fit(learner, epochs=4, state=half.state)
    same(rest.state, whole.state)
    assert [line.epoch for line in rest.history] == [3, 4]
    jax.tree.map(np.testing.assert_array_equal, plain(half.state), before)


def test_fit_resumes_in_the_middle_of_an_epoch(learner) -> None:
    # Ten steps by hand: the state of a process killed in its second epoch.
    data, key = make_data(), jax.random.key(0)
    state, _ = list(by_hand(learner, data, key))[10]
    rest = fit(learner, data, key=key, state=state)
    assert int(rest.state.step) == 14
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        rest.state.params,
        fit(learner, data, key=key).state.params,
    )


def test_fit_resumes_an_epoch_with_its_metric_sums(learner, monkeypatch) -> None:
    monkeypatch.setattr(loop, "_PAUSE", 0.0)  # the shortest possible pieces
    data = make_data(200)  # 25 batches per epoch
    whole = fit(learner, data)
    parts, lines = [], []
    fit(
        learner,
        data,
        on_part=lambda state, sums: parts.append(jax.device_get((plain(state), sums))),
        on_epoch=lambda line, state: lines.append(line),
    )
    steps = [int(state.step) for state, _ in parts]
    assert steps == [*range(10, 25), *range(35, 50)], "a long chunk is split"
    for k in (0, 14, 20):
        state, sums = parts[k]
        state = state._replace(key=jax.random.wrap_key_data(state.key))
        history = [line for line in lines if line.step <= state.step]
        rest = fit(learner, data, state=state, sums=sums, history=history)
        same(rest.state, whole.state)
        timeless = lambda run: [line._replace(seconds=0) for line in run.history]
        assert timeless(rest) == timeless(whole)
    with pytest.raises(ValueError, match="sums cover a part of an epoch"):
        fit(learner, data, state=whole.state, sums=sums, epochs=3)


@pytest.mark.parametrize("killed_after", [1, 2, 4, 6])
def test_early_stopping_resumes(killed_after) -> None:
    # Memorizing the training labels lowers the validation loss at first, since most
    # labels agree, and raises it later.
    data, learner = make_data(), make_learner(optax.adam(3e-3))
    label = np.where(np.arange(50) < 20, (data.label + 1) % 10, data.label)
    options = {
        "epochs": 12,
        "validation_data": fdl.Batch(data.image, label),
        "early_stopping": fdl.EarlyStopping("loss", "min", patience=3),
    }
    states = {}

    def keep(line, state):
        states[line.epoch] = jax.tree.map(lambda x: x.copy(), state)

    whole = fit(learner, on_epoch=keep, **options)
    assert 1 < whole.epoch < len(whole.history) == whole.epoch + 3
    history = whole.history[:killed_after]
    best = min(history, key=lambda line: line.validation["loss"]).epoch
    rest = fit(
        learner,
        state=states[killed_after],
        history=history,
        best=states[best],
        **options,
    )
    same(rest.state, whole.state)
    assert rest.epoch == whole.epoch
    timeless = lambda run: [line._replace(seconds=0) for line in run.history]
    assert timeless(rest) == timeless(whole)
    with pytest.raises(
        ValueError, match="history ends with epoch 1, but state has made 2"
    ):
        fit(learner, state=states[2], history=history[:1], **options)


def test_a_second_fit_compiles_nothing(learner) -> None:
    fit(learner)
    before = _program.cache_info().misses
    fit(learner, make_data(seed=1), epochs=3, key=jax.random.key(9))
    assert _program.cache_info().misses == before


def test_each_epoch_is_evaluated_and_reported(learner) -> None:
    test, lines = make_data(30, seed=1), []

    def on_epoch(line, state):
        lines.append(line)
        assert int(state.step) == line.step

    run = fit(learner, validation_data=test, on_epoch=on_epoch)
    assert tuple(lines) == run.history
    assert [line.epoch for line in lines] == [1, 2]
    assert run.history[-1].validation == fdl.evaluate(learner, run.state, test)
    assert run.seconds.keys() == {"compile", "train", "validation"}
    assert all(value >= 0 for value in run.seconds.values())


def test_fit_overfits_one_batch() -> None:
    learner = make_learner(optax.adam(1e-2))
    run = fit(learner, make_data(8), epochs=100)
    assert run.history[-1].train["accuracy"] == 1.0
    assert run.history[-1].train["loss"] < 0.05


def blow_up_at(step):
    """Return an optimizer whose update at `step` is infinite.

    It counts down to that step, so that one program serves all of them.
    """

    def update(updates, remaining, params=None):
        factor = jnp.where(remaining == 0, jnp.inf, -1e-3)
        return jax.tree.map(lambda u: factor * jnp.ones_like(u), updates), remaining - 1

    return optax.GradientTransformation(lambda params: jnp.int32(step), update)


@pytest.fixture(scope="module")
def states_of_a_good_run():
    """Parameters after each step of a run that does not blow up."""
    steps = by_hand(make_learner(blow_up_at(99)), make_data(), jax.random.key(0))
    return [state.params for state, _ in steps]


@pytest.mark.parametrize("steps_per_chunk", [4, None])
@pytest.mark.parametrize("bad_step", [0, 3, 5, 6, 7, 13])
def test_divergence_keeps_the_last_good_state(
    states_of_a_good_run, bad_step, steps_per_chunk
) -> None:
    with pytest.raises(fdl.DivergenceError) as caught:
        fit(make_learner(blow_up_at(bad_step)), steps_per_chunk=steps_per_chunk)
    error = caught.value
    # Update `bad_step` makes parameters infinite; the loss shows it one step later.
    assert error.step in (bad_step, bad_step + 1)
    assert f"step {error.step}" in str(error)
    assert int(error.state.step) == bad_step
    assert [line.epoch for line in error.history] == [1] * (bad_step >= 7)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        error.state.params,
        states_of_a_good_run[bad_step],
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"steps_per_chunk": 0}, "steps_per_chunk=0"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"batch_size": 51}, "batch_size=51"),
    ],
)
def test_bad_numbers_are_refused(learner, change, message) -> None:
    with pytest.raises(ValueError, match=message):
        fit(learner, **change)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: d._replace(label=d.label + 5), "label has the value"),
        (lambda d: d._replace(label=d.label - 1), "label has the value -1"),
        (lambda d: d._replace(label=d.label[:-1]), "different numbers of examples"),
        (lambda d: d._replace(label=d.label.astype(float)), "dtype float64"),
        (lambda d: d._replace(image=d.image[..., 0]), "Add a channel axis"),
        (lambda d: d._replace(image=d.image.astype(int)), "dtype int64"),
        (lambda d: jax.tree.map(lambda x: x[:0], d), "empty"),
        (lambda d: d._replace(image=np.where(d.image > 250, np.nan, 0.5)), "NaN"),
    ],
)
def test_bad_data_are_refused(learner, spoil, message) -> None:
    with pytest.raises(fdl.data.DataError, match=message):
        fit(learner, spoil(make_data()))
    state = learner.init(jax.random.key(0), make_data())
    with pytest.raises(fdl.data.DataError, match=message):
        fdl.evaluate(learner, state, spoil(make_data()))


def test_images_of_another_size_are_refused(learner) -> None:
    state = learner.init(jax.random.key(0), make_data())
    data = fdl.Batch(np.zeros((3, 7, 5, 1), np.uint8), np.arange(3))
    with pytest.raises(fdl.data.DataError, match=r"\(3, 7, 5, 1\)"):
        fdl.evaluate(learner, state, data)


def test_vmapped_steps_equal_single_steps(learner) -> None:
    data = jax.tree.map(lambda x: x[:8], make_data())
    keys = jax.random.split(jax.random.key(0), 3)
    init, step = jax.jit(learner.init), jax.jit(learner.step)
    states = jax.jit(jax.vmap(learner.init, in_axes=(0, None)))(keys, data)
    stepped, _ = jax.jit(jax.vmap(learner.step, in_axes=(0, None)))(states, data)
    for i, key in enumerate(keys):
        single, _ = step(init(key, data), data)
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-5, atol=1e-6),
            stepped.params,
            single.params,
        )


def test_if_no_epoch_measures_the_loss_the_last_is_kept(learner) -> None:
    nothing = fdl.metrics.Mean(jnp.float32(0), jnp.float32(0))
    blind = learner._replace(evaluate=lambda state, batch: {"loss": nothing})
    stopping = fdl.EarlyStopping("loss", "min")
    run = fit(blind, validation_data=make_data(8), early_stopping=stopping)
    assert run.epoch == 2
    same(run.state, fit(learner).state)


def test_a_nan_is_found_by_the_debugger_of_jax() -> None:
    model = fdl.models.MLP(10, hidden_sizes=())
    loss = lambda outputs, labels: jnp.log(outputs[:, 0] - 1e9)
    learner = fdl.learners.supervised(model, loss, optax.sgd(0.1))
    with jax.debug_nans(True), pytest.raises(FloatingPointError, match="nan"):
        fit(learner, make_data(8), epochs=1)


def test_predictions_within_a_program_are_refused_with_a_remedy(learner) -> None:
    state = learner.init(jax.random.key(0), make_data())
    with pytest.raises(ValueError, match=r"such as learner\.predict"):
        jax.jit(lambda x: fdl.predict(learner, state, x))(make_data().image)

"""Batches from an iterator: trained on in order, resumed if it saves its position."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl.data import Batches

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (40, 6, 5, 1), np.uint8)
LABEL = RNG.integers(0, 10, 40).astype(np.int32)
OPTIONS = {"epochs": 3, "batch_size": 8, "key": 0}
STEP = 4 * 8 * (6 * 5 + 4)  # bytes that a batch takes in a stream


class Counting:
    """An iterator that can save its position, and never ends."""

    def __init__(self):
        self.next = 0

    def __iter__(self):
        return self

    def __next__(self):
        rows = np.arange(8 * self.next, 8 * self.next + 8) % 40
        self.next += 1
        return fdl.Batch(IMAGE[rows], LABEL[rows])

    def get_state(self):
        return {"next": self.next}

    def set_state(self, state):
        self.next = state["next"]


class Passes:
    """An iterable with passes of 5 batches each."""

    def __iter__(self):
        return itertools.islice(Counting(), 5)


@pytest.fixture(scope="module")
def learner():
    model = fdl.models.MLP(10, hidden_sizes=(8,), dropout_rate=0.3)
    return fdl.learners.supervised(model, fdl.losses.cross_entropy, optax.adam(1e-2))


@pytest.fixture(scope="module")
def whole(learner):
    return fdl.fit(learner, Batches(Counting(), steps_per_epoch=4), **OPTIONS)


def same(a, b):
    plain = lambda state: state._replace(key=jax.random.key_data(state.key))
    jax.tree.map(np.testing.assert_array_equal, plain(a), plain(b))


def test_batches_are_trained_on_in_order(learner, whole) -> None:
    init_key, _ = jax.random.split(jax.random.key(0))
    batches = Counting()
    state = jax.jit(learner.init)(init_key, next(batches))
    step = jax.jit(learner.step)
    batches.set_state({"next": 0})
    for _ in range(12):
        state, _ = step(state, next(batches))
    assert int(whole.state.step) == 12
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        whole.state.params,
        state.params,
    )


@pytest.mark.parametrize("stream_bytes", [STEP, 3 * STEP])
def test_chunks_and_passes_do_not_matter(learner, whole, stream_bytes) -> None:
    batches = Batches(Passes(), steps_per_epoch=4)
    run = fdl.fit(learner, batches, stream_bytes=stream_bytes, **OPTIONS)
    same(run.state, whole.state)
    assert [line.train for line in run.history] == [
        line.train for line in whole.history
    ]


def test_training_resumes_from_a_saved_position(learner, whole) -> None:
    kept = []
    batches = Batches(Counting(), steps_per_epoch=4)

    def keep(state, sums):
        position = batches.get_state(int(state.step))
        kept.append((jax.tree.map(jnp.copy, (state, sums)), position))

    options = OPTIONS | {"stream_bytes": 2 * STEP, "steps_per_chunk": 1}
    fdl.fit(learner, batches, on_part=keep, **options)
    (state, sums), position = kept[4]
    assert int(state.step) == position["step"] == 6
    again = Batches(Counting(), steps_per_epoch=4)
    history = whole.history[:1]
    with pytest.raises(ValueError, match=r"at batch 0: call set_state .*_state\(6"):
        fdl.fit(learner, again, state=state, sums=sums, history=history, **OPTIONS)
    again.set_state(position)
    run = fdl.fit(learner, again, state=state, sums=sums, history=history, **OPTIONS)
    same(run.state, whole.state)
    assert run.history[1].train == whole.history[1].train


def test_training_continues_with_the_same_iterator(learner, whole) -> None:
    batches = Batches(iter(Passes()), steps_per_epoch=2)
    first = fdl.fit(learner, batches, **OPTIONS | {"epochs": 1})
    options = OPTIONS | {"epochs": 2, "history": first.history}
    run = fdl.fit(learner, batches, state=first.state, **options)
    assert int(run.state.step) == batches.step == 4
    other = Batches(iter(Passes()), steps_per_epoch=2)
    with pytest.raises(ValueError, match="no get_state and set_state and cannot"):
        fdl.fit(learner, other, state=first.state, **options)
    with pytest.raises(ValueError, match="tuple_iterator cannot save its position"):
        Batches(iter(()), steps_per_epoch=1).get_state(0)


def test_grain_iterators_resume(learner) -> None:
    grain = pytest.importorskip("grain")

    def make():
        data = grain.MapDataset.range(40).seed(0).shuffle().repeat()
        data = data.map(lambda i: fdl.Batch(IMAGE[i], LABEL[i]))
        batches = data.batch(8, drop_remainder=True).to_iter_dataset()
        return Batches(iter(batches), steps_per_epoch=5)

    kept, batches = {}, make()

    def keep(line, state):
        kept[line.epoch] = jax.tree.map(jnp.copy, state), batches.get_state(line.step)

    whole = fdl.fit(learner, batches, on_epoch=keep, **OPTIONS)
    state, position = kept[1]
    again = make()
    again.set_state(position)
    run = fdl.fit(learner, again, state=state, history=whole.history[:1], **OPTIONS)
    same(run.state, whole.state)


def test_members_share_batches(learner) -> None:
    many = fdl.many(learner, 2)
    run = fdl.fit(
        many, Batches(Counting(), steps_per_epoch=4), **OPTIONS | {"key": range(2)}
    )
    alone = fdl.fit(
        learner, Batches(Counting(), steps_per_epoch=4), **OPTIONS | {"key": 1}
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[1], b, rtol=1e-4, atol=1e-5),
        run.state.params,
        alone.state.params,
    )


def test_divergence_gives_the_state_of_the_last_epoch() -> None:
    wild = fdl.learners.supervised(
        fdl.models.MLP(10, hidden_sizes=(8,)),
        fdl.losses.cross_entropy,
        optax.sgd(optax.piecewise_constant_schedule(0.01, {5: 1e38})),
    )
    epochs = []
    with pytest.raises(fdl.DivergenceError) as caught:
        fdl.fit(
            wild,
            Batches(Counting(), steps_per_epoch=4),
            on_epoch=lambda line, state: epochs.append(
                jax.tree.map(jnp.copy, state.params)
            ),
            **OPTIONS,
        )
    assert caught.value.step > int(caught.value.state.step) == 4
    jax.tree.map(np.testing.assert_array_equal, caught.value.state.params, epochs[0])


def spoiled(number, change):
    """Return batches, one of them changed."""
    return (
        change(batch) if i == number else batch
        for i, batch in enumerate(itertools.islice(Counting(), 12))
    )


def bad_label(batch):
    return batch._replace(label=np.where(np.arange(8) == 3, 10, batch.label))


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (itertools.islice(Counting(), 6), "islice ended after 6 batches"),
        (iter(()), "tuple_iterator ended after 0 batches"),
        (
            spoiled(5, lambda batch: jax.tree.map(lambda x: x[1:], batch)),
            r"generator gave image uint8\[7, .* as batch 5, but batch_size=8",
        ),
        (spoiled(0, lambda batch: batch.image[:3]), "as batch 0, but batch_size=8"),
        (
            spoiled(5, lambda batch: batch._replace(image=batch.image / 255)),
            r"image float64\[8, 6, 5, 1\], label int32\[8\] for batch 5, not",
        ),
        (spoiled(5, bad_label), "generator, .* value 10 in row 3 of batch 5, but"),
    ],
)
def test_unsuitable_batches_are_refused(learner, batches, message) -> None:
    data = Batches(batches, steps_per_epoch=4)
    with pytest.raises(fdl.DataError, match=message):
        fdl.fit(learner, data, stream_bytes=2 * STEP, **OPTIONS)


def test_only_training_takes_batches(learner, whole) -> None:
    batches = Batches(Counting(), steps_per_epoch=4)
    with pytest.raises(fdl.DataError, match="Counting yields each batch only once"):
        fdl.evaluate(learner, whole.state, batches)
    with pytest.raises(fdl.DataError, match="Counting yields each batch only once"):
        fdl.fit(learner, whole_set(), validation_data=batches, **OPTIONS)
    with pytest.raises(fdl.DataError, match=r"train fdl.many with fdl.fit"):
        fdl.fit_many(
            lambda _: learner, {}, batches, epochs=1, batch_size=8, keys=range(2)
        )


def whole_set():
    return fdl.Batch(IMAGE, LABEL)


def test_positions_that_are_forgotten_are_refused() -> None:
    batches = Batches(Counting(), steps_per_epoch=4)
    for _ in range(3):
        batches.take(2)
    with pytest.raises(ValueError, match=r"step=1 .* from step 2 to 6"):
        batches.get_state(1)
    with pytest.raises(fdl.DataError, match="int is not iterable"):
        Batches(3, steps_per_epoch=1)

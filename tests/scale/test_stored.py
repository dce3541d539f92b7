"""Training on examples that are stored elsewhere equals training in memory."""

import functools
import threading

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl.train import EarlyStopping
from fdl.train.feed import STREAM_BYTES

N = 53  # with batches of 8, the last has 5
STEP = 4 * 8 * (6 * 5 + 4)  # bytes that the examples of a step take in a stream
OPTIONS = {"epochs": 2, "batch_size": 8, "key": 0}


def make_data(n=N, seed=0):
    rng = np.random.default_rng(seed)
    return fdl.Batch(
        rng.integers(0, 256, (n, 6, 5, 1), np.uint8),
        rng.integers(0, 10, n).astype(np.int32),
    )


class Normalized(nn.Module):
    """A classifier with batch normalization and dropout."""

    @nn.compact
    def __call__(self, x, *, train: bool = False):
        x = nn.Dense(16)(x.reshape(len(x), -1))
        x = nn.BatchNorm(use_running_average=not train, momentum=0.5)(x)
        x = nn.Dropout(0.3, deterministic=not train)(nn.relu(x))
        return nn.Dense(10)(x)


def make_learner(hparams=None):
    rate = 1e-3 if hparams is None else hparams["learning_rate"]
    return fdl.learners.supervised(
        Normalized(), fdl.losses.cross_entropy, fdl.keras.adam(rate)
    )


class Source:
    """Examples in memory that record which rows are requested."""

    name = "mine"

    def __init__(self, data=None):
        self.data = make_data() if data is None else data
        self.asked = []

    def __len__(self):
        return len(self.data.label)

    def rows(self, index):
        self.asked.append((threading.current_thread(), index))
        return jax.tree.map(lambda x: x[index], self.data)


def plain(tree):
    is_key = lambda x: jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    return jax.tree.map(lambda x: jax.random.key_data(x) if is_key(x) else x, tree)


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, plain(a), plain(b))


def same_run(a, b):
    same(a.state, b.state)
    assert a.epoch == b.epoch
    assert len(a.history) == len(b.history)
    for one, other in zip(a.history, b.history, strict=True):
        assert one._replace(seconds=0) == other._replace(seconds=0)


@pytest.fixture(scope="module")
def learner():
    return make_learner()


@pytest.fixture(scope="module")
def validation():
    return make_data(n=21, seed=1)


@pytest.fixture(scope="module")
def in_memory(learner, validation):
    return fdl.fit(learner, make_data(), validation_data=validation, **OPTIONS)


# Memory for all examples, for two steps, for one step, and for less than one.
@pytest.mark.parametrize("stream_bytes", [STREAM_BYTES, 2 * STEP, STEP, 1])
def test_training_equals_training_in_memory(
    learner, validation, in_memory, stream_bytes
) -> None:
    source = Source()
    options = OPTIONS | {"stream_bytes": stream_bytes}
    run = fdl.fit(learner, source, validation_data=Source(validation), **options)
    same_run(run, in_memory)
    longest = {STREAM_BYTES: 48, 2 * STEP: 16}.get(stream_bytes, 8)
    assert max(len(index) for _, index in source.asked) == longest


def test_rows_are_requested_in_increasing_order_once_an_epoch(learner) -> None:
    source = Source()
    fdl.fit(learner, source, stream_bytes=2 * STEP, **OPTIONS)
    asked = [index for thread, index in source.asked if thread.name.startswith("fdl")]
    assert all((np.diff(index) > 0).all() for index in asked)
    np.testing.assert_array_equal(
        np.sort(np.concatenate(asked)), np.arange(N).repeat(2)
    )
    assert threading.main_thread() not in [thread for thread, _ in source.asked[1:]]
    assert not any(t.name.startswith("fdl") for t in threading.enumerate())


def test_reports_are_those_of_training_in_memory(learner) -> None:
    reports = [], []
    for data, seen in zip((make_data(), Source()), reports, strict=True):
        note = lambda *report, seen=seen: seen.append(report[:2])
        options = OPTIONS | {"steps_per_chunk": 3, "stream_bytes": 2 * STEP}
        fdl.fit(learner, data, on_chunk=note, **options)
    assert reports[0] == reports[1]
    assert [step for step, _ in reports[0]] == [3, 6, 7, 10, 13, 14]


def test_training_stopped_within_an_epoch_resumes(
    learner, validation, in_memory
) -> None:
    kept = []

    def keep(state, sums):
        kept.append(jax.tree.map(jnp.copy, (state, sums)))

    source = Source()
    options = OPTIONS | {
        "stream_bytes": 3 * STEP,
        "validation_data": Source(validation),
    }
    fdl.fit(learner, source, on_part=keep, steps_per_chunk=2, **options)
    state, sums = kept[-1]
    assert int(state.step) == 13
    lines = in_memory.history[:1]
    rest = fdl.fit(learner, source, state=state, sums=sums, history=lines, **options)
    same_run(rest, in_memory)


def test_early_stopping_evaluates_stored_examples(learner, validation) -> None:
    options = OPTIONS | {
        "epochs": 6,
        "early_stopping": EarlyStopping("accuracy", patience=1),
    }
    runs = [
        fdl.fit(learner, data, validation_data=held_out, **options)
        for data, held_out in (
            (make_data(), validation),
            (Source(), Source(validation)),
        )
    ]
    assert len(runs[0].history) < 6
    same_run(*runs)


@pytest.mark.parametrize(
    ("shuffle_key", "chosen"),
    [(None, {"strategy": "vmap", "members_per_chunk": 2}), (5, {})],
)
def test_members_equal_those_trained_in_memory(shuffle_key, chosen) -> None:
    rates = {"learning_rate": np.array([1e-3, 3e-3, 1e-2])}
    options = {"epochs": 2, "batch_size": 8, "keys": range(3), **chosen}
    options["shuffle_key"] = shuffle_key
    data = make_data(48)  # no smaller last batch
    whole = fdl.fit_many(make_learner, rates, data, **options)
    source = Source(data)
    run = fdl.fit_many(make_learner, rates, source, stream_bytes=4 * STEP, **options)
    same(run.state, whole.state)
    same(run.train, whole.train)
    # Two steps of two members with orders of their own, or four of a shared order.
    assert max(len(index) for _, index in source.asked[1:]) <= 4 * 8


class Averaging(nn.Module):
    """A classifier of images of any size."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(10)(x.mean(axis=(1, 2)))


def test_buckets_may_be_stored() -> None:
    learner = fdl.learners.supervised(
        Averaging(), fdl.losses.cross_entropy, optax.sgd(1e-2)
    )
    short = make_data(48)
    long = fdl.Batch(np.repeat(short.image, 2, axis=1)[:30], short.label[:30])
    whole = fdl.fit(learner, fdl.Buckets((short, long)), **OPTIONS)
    for parts in ((Source(short), Source(long)), (Source(short), long)):
        same_run(fdl.fit(learner, fdl.Buckets(parts), **OPTIONS), whole)


def test_evaluation_and_prediction_equal_those_in_memory(learner, in_memory) -> None:
    data, state = make_data(), in_memory.state
    evaluate = functools.partial(fdl.evaluate, learner, state, batch_size=8)
    assert evaluate(Source()) == evaluate(data)
    predict = functools.partial(fdl.predict, learner, state, batch_size=8)
    np.testing.assert_array_equal(
        predict(fdl.data.stored(data.image)), predict(data.image)
    )


def test_find_rate_gives_the_losses_of_data_in_memory() -> None:
    learner = fdl.tunable(make_learner, {"learning_rate": 1e-3})
    options = {"batch_size": 8, "key": 0, "steps": 10}
    source = Source()
    found = fdl.find_rate(learner, source, **options)
    np.testing.assert_array_equal(
        found.losses, fdl.find_rate(learner, make_data(), **options).losses
    )


def test_a_source_may_reuse_its_memory(learner, in_memory) -> None:
    class Reusing(Source):
        def rows(self, index):
            rows = super().rows(index)
            for kept, new in zip(buffer, rows, strict=True):
                kept[: len(index)] = new
            return fdl.Batch(*(kept[: len(index)] for kept in buffer))

    aligned = lambda x: _aligned(x.shape, x.dtype)
    buffer = jax.tree.map(aligned, make_data())
    run = fdl.fit(learner, Reusing(), stream_bytes=STEP, **OPTIONS)
    same(run.state, in_memory.state)


def _aligned(shape, dtype):
    """Return an array whose memory JAX would use without a copy."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    whole = np.zeros(size + 64, np.uint8)
    start = -whole.ctypes.data % 64
    return whole[start : start + size].view(dtype).reshape(shape)


def test_divergence_is_reported_as_in_memory(learner) -> None:
    wild = fdl.learners.supervised(
        Normalized(), fdl.losses.cross_entropy, optax.sgd(1e38)
    )
    errors = []
    for data in (make_data(), Source()):
        with pytest.raises(fdl.DivergenceError) as caught:
            fdl.fit(wild, data, stream_bytes=3 * STEP, **OPTIONS)
        errors.append(caught.value)
    assert errors[0].step == errors[1].step
    same(errors[0].state, errors[1].state)
    assert not any(t.name.startswith("fdl") for t in threading.enumerate())


class Broken(Source):
    """A source whose rows `spoil` changes once the first chunk has been read."""

    def __init__(self, spoil, data=None):
        super().__init__(data)
        self.spoil = spoil

    def rows(self, index):
        rows = super().rows(index)
        return self.spoil(rows) if len(self.asked) > 3 else rows


def wrong_label(rows):
    label = rows.label.copy()
    label[2] = 10
    return rows._replace(label=label)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda rows: rows._replace(image=rows.image[:, 1:]),
            "mine gave image uint8",
        ),
        (lambda rows: rows._replace(image=rows.image / 255), "mine gave image float64"),
        (
            lambda rows: jax.tree.map(lambda x: x[1:], rows),
            r"label int32\[7\] for 8 rows from",
        ),
        (lambda rows: rows.label.tolist(), "mine gave 0 a int, 1 a int"),
        (lambda rows: tuple(rows), r"mine gave 0 uint8\[8, 6, 5, 1\]"),
        (wrong_label, "mine, in the rows last read: label has the value 10 in row "),
    ],
)
def test_rows_that_change_are_refused_by_name(learner, spoil, message) -> None:
    source = Broken(spoil)
    with pytest.raises(fdl.DataError, match=message) as caught:
        fdl.fit(learner, source, stream_bytes=1, **OPTIONS)
    assert "\n" not in str(caught.value)
    if spoil is wrong_label:
        row = source.asked[-1][1][2], source.asked[-2][1][2]
        assert any(f"row {number}, but" in str(caught.value) for number in row)


def test_a_bad_number_is_named_by_its_row(learner) -> None:
    data = make_data()
    image = data.image / np.float32(255)
    image[37, 2, 2] = np.nan
    source = Source(data._replace(image=image))
    with pytest.raises(fdl.DataError, match=r"mine, .* first in row 37: "):
        fdl.fit(learner, source, stream_bytes=1, **OPTIONS)
    state = learner.init(jax.random.key(0), data)
    with pytest.raises(fdl.DataError, match=r"mine, .* first in row 37: "):
        fdl.evaluate(learner, state, source, batch_size=10)


def test_a_length_that_changes_is_refused(learner) -> None:
    class Growing(Source):
        def __len__(self):
            return N + (len(self.asked) > 4)

    with pytest.raises(fdl.DataError, match="mine had 53 examples and now has 54"):
        fdl.fit(learner, Growing(), stream_bytes=1, **OPTIONS)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Source(make_data(0)), "mine has 0 examples"),
        (Source(make_data(5)), "batch_size=8 with 5 examples"),
        (Source(make_data()._replace(label=np.zeros(N))), "mine, .* dtype float64"),
    ],
)
def test_unsuitable_sources_are_refused_at_once(learner, data, message) -> None:
    with pytest.raises(fdl.DataError, match=message):
        fdl.fit(learner, data, **OPTIONS)


@pytest.mark.parametrize("error", [OSError("the disk is gone"), KeyboardInterrupt()])
def test_an_error_in_the_thread_reaches_the_caller(learner, error) -> None:
    def fail(rows):
        raise error

    with pytest.raises(type(error)) as caught:
        fdl.fit(learner, Broken(fail), stream_bytes=1, **OPTIONS)
    assert caught.value is error
    assert not any(t.name.startswith("fdl") for t in threading.enumerate())


def test_an_interrupt_leaves_no_thread(learner) -> None:
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fdl.fit(
            learner,
            Source(),
            on_chunk=interrupt,
            steps_per_chunk=1,
            **OPTIONS,
        )
    assert not any(t.name.startswith("fdl") for t in threading.enumerate())


def test_double_precision_is_kept() -> None:
    data = (np.random.default_rng(0).normal(size=(N, 3)), np.zeros((N, 1)))
    learner = fdl.learners.supervised(
        nn.Dense(1, dtype=jnp.float64),
        fdl.losses.mean_squared_error,
        optax.sgd(0.1),
    )
    with jax.enable_x64(True):
        runs = [
            fdl.fit(learner, each, **OPTIONS) for each in (data, fdl.data.stored(data))
        ]
        same_run(*runs)

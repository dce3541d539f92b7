"""Learning from pairs of sequences: teacher forcing, masks, metrics, refusals.

tests/cli/test_translate_command.py shows that it learns.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import learners, losses, models, nn
from fdl.arrays import DataError
from fdl.learners.sequence_to_sequence import read_before
from fdl.metrics import compute

SOURCE = np.array([[4, 5, 6], [7, 4, 0]], np.int32)
TARGET = np.array([[5, 6, 4, 2], [6, 2, 0, 0]], np.int32)


@pytest.fixture(scope="module")
def model():
    blocks = {"num_layers": 1, "num_heads": 1}
    return models.Transformer(
        8,
        nn.TransformerEncoder(**blocks),
        nn.TransformerDecoder(**blocks),
        features=8,
        pad_token=0,
    )


@pytest.fixture(scope="module")
def learner(model):
    search = functools.partial(models.beam_search, model, length=5, beams=1)
    return learners.sequence_to_sequence(
        model,
        optax.sgd(0.5),
        search=lambda variables, source: search(variables, source).token[:, 0],
    )


@pytest.fixture(scope="module")
def state(learner):
    return jax.jit(learner.init)(jax.random.key(0), (SOURCE, TARGET))


def test_the_loss_averages_real_tokens_given_the_preceding_ones(model, learner, state):
    read = np.array([[1, 5, 6, 4], [1, 6, 2, 0]])
    np.testing.assert_array_equal(read_before(TARGET), read)
    logits = jax.jit(model.apply)(state.variables, SOURCE, read)
    each = np.asarray(losses.cross_entropy(logits, TARGET))
    by_hand = (each[0].sum() + each[1, :2].sum()) / 6
    measured = compute(jax.jit(learner.evaluate)(state, fdl.Pairs(SOURCE, TARGET)))
    assert measured["loss"] == pytest.approx(by_hand, rel=1e-6)
    assert measured["perplexity"] == pytest.approx(np.exp(by_hand), rel=1e-5)
    _, stepped = jax.jit(learner.step)(state, fdl.Pairs(SOURCE, TARGET))
    assert compute(stepped)["loss"] == pytest.approx(by_hand, rel=1e-6)


def test_padding_changes_neither_metrics_nor_updates(learner, state):
    wide = lambda x, count: np.pad(x, ((0, 0), (0, count)))
    found = [
        jax.jit(learner.step)(state, fdl.Pairs(wide(SOURCE, a), wide(TARGET, b)))
        for a, b in [(0, 0), (3, 2)]
    ]
    (one, short), (other, long) = found
    for name, value in compute(short).items():
        assert value == pytest.approx(compute(long)[name], rel=1e-5), name
    for a, b in zip(*map(jax.tree.leaves, (one.params, other.params)), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


def test_exact_match_agrees_with_greedy_search(learner, state):
    rng = np.random.default_rng(0)
    source = rng.integers(3, 8, (40, 3)).astype(np.int32)
    found = np.asarray(learner.predict(state, source))
    ended = (found == 2).any(axis=1)
    assert ended.any()
    source, found, answers = source[ended], found[ended], found[ended]
    answers[::2, 0] = 3 + (answers[::2, 0] - 2) % 5  # other tokens in every other one
    measured = compute(jax.jit(learner.evaluate)(state, (source, answers)))
    assert measured["exact_match"] == (found == answers).all(axis=1).mean()
    assert 0 < measured["exact_match"] < 1


def test_without_a_search_there_are_no_answers(model, state):
    silent = learners.sequence_to_sequence(model, optax.sgd(0.5))
    with pytest.raises(ValueError, match="without a search"):
        silent.predict(state, SOURCE)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((SOURCE, TARGET, TARGET), "a tuple of 3: pass .source, target."),
        (SOURCE, "one array of shape .1, 3."),
        ((SOURCE, np.zeros_like(TARGET)), "target is empty in row 0"),
        ((SOURCE * [[1], [0]], TARGET), "source is empty in row 1"),
        ((SOURCE.astype(np.float32), TARGET), "source is float32"),
        ((SOURCE, TARGET + 5), "the model has 8 classes"),
    ],
)
def test_data_other_than_pairs_are_refused(learner, data, message):
    with pytest.raises(DataError, match=message):
        fdl.fit(learner, data, epochs=1, batch_size=2, key=0)


def test_label_smoothing_excludes_padding():
    logits = jnp.array([[9.0, 1.0, 2.0, 3.0]])
    label = jnp.array([2])
    found = losses.cross_entropy(logits, label, label_smoothing=0.3, except_class=0)
    share = jnp.array([[0.0, 0.1, 0.8, 0.1]])
    np.testing.assert_allclose(found, losses.cross_entropy(logits, share), rtol=1e-6)
    with pytest.raises(ValueError, match="except_class=4"):
        losses.cross_entropy(logits, label, label_smoothing=0.3, except_class=4)

"""Properties of recurrent classifiers beyond the laws: pieces, padding, cost."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from closeness import close
from fdl import models, nn
from zoo import draw_variables

TIME, CHANNELS, CLASSES = 7, 3, 5
KINDS = {
    "simple_rnn": models.SimpleRNNClassifier,
    "lstm": models.LSTMClassifier,
    "gru": models.GRUClassifier,
}
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
ways = pytest.mark.parametrize("bidirectional", [False, True])
# Padding after, before and between four real steps; only padding.
MASK = np.array(
    [
        [1, 1, 1, 1, 0, 0, 0],
        [0, 0, 0, 1, 1, 1, 1],
        [1, 0, 1, 0, 0, 1, 1],
        [0, 0, 0, 0, 0, 0, 0],
    ],
    bool,
)


def make(kind: Any, **options: Any) -> Any:
    return kind(CLASSES, hidden_size=4, num_layers=2, **options)


def inputs(*batch: int, time: int = TIME) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(*batch, time, CHANNELS)).astype(np.float32)


def variables_of(model: Any) -> Any:
    return draw_variables(model, inputs(1))


@kinds
@pytest.mark.parametrize("cuts", [[3], range(1, TIME)])
def test_pieces_equal_the_whole(kind, cuts: Any) -> None:
    model, x = make(kind), inputs(4)
    variables = variables_of(model)
    stream = jax.jit(partial(model.apply, method="stream"))
    whole = stream(variables, x, None, MASK)
    close(whole.logits, jax.jit(model.apply)(variables, x, MASK))
    state = None
    for piece in np.split(np.arange(TIME), cuts):
        result = stream(variables, x[:, piece], state, MASK[:, piece])
        state = result.state
    close(result, whole)


def test_an_empty_piece_changes_nothing() -> None:
    model, x = make(models.LSTMClassifier), inputs(2)
    stream = jax.jit(partial(model.apply, method="stream"))
    variables = variables_of(model)
    before = stream(variables, x)
    close(stream(variables, x[:, :0], before.state), before)


@kinds
@ways
def test_padding_changes_nothing(kind, bidirectional: bool) -> None:
    model, x = make(kind, bidirectional=bidirectional), inputs(4)
    variables, apply = variables_of(model), jax.jit(model.apply)
    padded = np.where(MASK[..., None], x, 7)
    logits = apply(variables, padded, MASK)
    close(logits[:3], apply(variables, x[MASK].reshape(3, 4, CHANNELS)))
    bias = variables["params"]["head"]["bias"]
    np.testing.assert_array_equal(logits[3], bias, "only padding leaves the bias")


def test_sequences_of_different_lengths_share_a_batch() -> None:
    model, x = make(models.GRUClassifier, bidirectional=True), inputs(3)
    variables, apply = variables_of(model), jax.jit(model.apply)
    lengths = np.array([0, 1, 6])
    mask = nn.length_mask(lengths, TIME)
    logits = apply(variables, x, mask)
    for row, length in enumerate(lengths):
        close(logits[row], apply(variables, x[row, :length]))
    # Masks may be integers, as tokenizers return them.
    close(logits, apply(variables, x, mask.astype(np.int8)))


def test_dropout_follows_every_layer_in_training_only() -> None:
    model = make(models.GRUClassifier, dropout_rate=0.5)
    variables, x = variables_of(model), inputs(2)
    undropped = jax.jit(model.apply)(variables, x)
    close(undropped, jax.jit(make(models.GRUClassifier).apply)(variables, x))
    train = jax.jit(partial(model.apply, train=True))
    draw = lambda seed: train(variables, x, rngs={"dropout": jax.random.key(seed)})
    assert np.abs(draw(0) - draw(1)).max() > 1e-3
    one = models.GRUClassifier(CLASSES, hidden_size=4, dropout_rate=1.0)
    rngs = {"dropout": jax.random.key(0)}
    logits = jax.jit(partial(one.apply, train=True))(variables_of(one), x, rngs=rngs)
    assert np.ptp(logits, axis=0).max() == 0, "the last layer's output is dropped too"


def test_the_size_of_a_program_does_not_depend_on_the_number_of_steps() -> None:
    """This is why a sequence of 784 pixels compiles as fast as one of 28 rows."""
    learner = fdl.learners.supervised(
        models.LSTMClassifier(10), fdl.losses.cross_entropy, optax.sgd(0.1)
    )

    def size(time: int) -> int:
        batch = (jnp.zeros((2, time, 1)), jnp.zeros(2, int))
        state = jax.eval_shape(learner.init, jax.random.key(0), batch)
        return jax.jit(learner.step).lower(state, batch).as_text().count("\n")

    # From 256 steps on, gradients of kernels are computed as for many rows.
    assert size(784) == size(256)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_layers": 0}, "num_layers=0 must be at least 1"),
        ({"hidden_size": 0}, "features=0 must be at least 1"),
    ],
)
def test_refuses_invalid_options(options, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        models.LSTMClassifier(CLASSES, **options).init(jax.random.key(0), inputs(1))


def test_refuses_states_that_do_not_fit() -> None:
    model = make(models.LSTMClassifier)
    variables, x = variables_of(model), inputs(2)
    one = jnp.zeros((2, 4))
    state = (nn.LSTMState(one, one),) * 2
    with pytest.raises(ValueError, match=r"state has 1 parts, but num_layers=2"):
        model.apply(variables, x, state[:1], method="stream")
    with pytest.raises(ValueError, match=r"must have \(3, 4\)"):
        model.apply(variables, inputs(3), state, method="stream")
    two_way = make(models.LSTMClassifier, bidirectional=True)
    with pytest.raises(
        ValueError, match="bidirectional=True also reads sequences back"
    ):
        two_way.apply(variables_of(two_way), x, method="stream")


def test_length_mask_is_true_up_to_each_length() -> None:
    lengths = np.array([[0, 1], [3, 9]], np.uint8)
    expected = [[[0, 0, 0], [1, 0, 0]], [[1, 1, 1], [1, 1, 1]]]
    np.testing.assert_array_equal(nn.length_mask(lengths, 3), np.array(expected, bool))
    np.testing.assert_array_equal(nn.length_mask(np.array(2), 3), [True, True, False])

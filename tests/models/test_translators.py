"""Recurrent models from sequences to sequences: properties beyond the laws."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from closeness import close
from fdl import models
from zoo import draw_variables

SIZES: dict[str, Any] = {"hidden_size": 4, "features": 3}
MODELS = {
    "seq2seq": models.EncoderDecoder(7, 9, num_layers=2, **SIZES),
    "seq2seq of Cho": models.EncoderDecoder(
        7, 9, "gru", reverse=False, context="every", **SIZES
    ),
    "LSTMs that see the summary": models.EncoderDecoder(
        7, 9, num_layers=2, context="every", **SIZES
    ),
    "attention": models.AttentionEncoderDecoder(7, 9, attention_size=5, **SIZES),
    "attention of the paper": models.AttentionEncoderDecoder(
        7, 9, attention_size=5, maxout=True, reset_after=False, **SIZES
    ),
}
SOURCE = np.array([[3, 8, 4, 5], [6, 3, 0, 0], [4, 0, 0, 0]], np.int32)
TARGET = np.array([[1, 3, 5, 6, 3], [1, 6, 4, 4, 5], [1, 3, 3, 4, 6]], np.int32)

each = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


@functools.lru_cache
def variables_of(model: Any) -> Any:
    return draw_variables(model, SOURCE, TARGET)


@each
def test_a_target_in_pieces_equals_the_whole(model: Any) -> None:
    variables = variables_of(model)
    whole = jax.jit(model.apply)(variables, SOURCE, TARGET)

    @jax.jit
    def in_pieces(variables: Any) -> jax.Array:
        cache = model.apply(variables, SOURCE, 5, method="start")
        pieces = []
        for piece in (TARGET[:, :1], TARGET[:, 1:]):
            logits, cache = model.apply(variables, piece, cache, method="decode")
            pieces.append(logits)
        return jnp.concatenate(pieces, axis=1)

    close(in_pieces(variables), whole)


def test_a_reversed_source_keeps_its_padding_at_the_end() -> None:
    model = MODELS["seq2seq"]
    reversed_source = SOURCE.copy()
    for row, length in enumerate((4, 2, 1)):
        reversed_source[row, :length] = SOURCE[row, :length][::-1]
    ahead = jax.jit(model.clone(reverse=False).apply)
    back = jax.jit(model.apply)(variables_of(model), SOURCE, TARGET)
    close(ahead(variables_of(model), reversed_source, TARGET), back)


def test_attention_is_only_on_tokens_of_the_source() -> None:
    model = MODELS["attention"]
    look = jax.jit(functools.partial(model.apply, mutable="intermediates"))
    _, seen = look(variables_of(model), SOURCE, TARGET)
    weights = np.array(model.alignment(seen["intermediates"]))
    assert weights.shape == (3, 5, 4)
    close(weights.sum(-1), np.ones((3, 5)))
    assert np.all(weights[np.broadcast_to(SOURCE[:, None] == 0, weights.shape)] == 0)
    assert len(np.unique(weights[0, :, 0])) == 5, "each step has its own weights"


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("seq2seq", {"cell": "rnn"}, "cell='rnn' must be 'lstm' or 'gru'"),
        ("seq2seq", {"context": "last"}, "context='last' must be 'first' or 'every'"),
        ("seq2seq", {"num_layers": 0}, "num_layers=0 must be"),
        ("seq2seq of Cho", {"hidden_size": 5}, "5 features cannot be paired"),
        ("attention", {"hidden_size": 0}, "features=0 must be"),
    ],
)
def test_refuses_invalid_options(model: str, options: Any, message: str) -> None:
    jaxtyping.config.update("jaxtyping_disable", True)  # as in a user's program
    try:
        with pytest.raises(ValueError, match=message):
            jax.eval_shape(
                lambda: (
                    MODELS[model]
                    .clone(**options)
                    .init(jax.random.key(0), SOURCE, TARGET)
                )
            )
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)

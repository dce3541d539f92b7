"""Models that make sequences of sequences: all that Keras has no word for."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from closeness import close
from fdl import models, nn
from zoo import draw_variables

SIZES: dict[str, Any] = {"hidden_size": 4, "features": 3}
STACKS = nn.TransformerEncoder(1, 2), nn.TransformerDecoder(2, 2, norm="pre")
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
    "translator": models.Transformer(
        7, *STACKS, features=4, pad_token=0, source_vocab_size=9
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
        for piece in (TARGET[:, :1], TARGET[:, 1:2], TARGET[:, 2:]):
            logits, cache = model.apply(variables, piece, cache, method="decode")
            pieces.append(logits)
        return jnp.concatenate(pieces, axis=1)

    close(in_pieces(variables), whole)

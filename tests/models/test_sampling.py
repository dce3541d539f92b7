"""Texts are drawn from exactly the requested distribution."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import closeness
from fdl import models, nn
from fdl.models import choice_logits, generate
from zoo import draw_variables

MODEL = models.LanguageModel(7, nn.TransformerDecoder(1, 2), features=8, max_length=8)
PROMPT = np.array([[1, 2, 3], [3, 2, 1]], np.int32)
VARIABLES = draw_variables(MODEL, PROMPT, seed=3)
APPLY = jax.jit(MODEL.apply)
P = np.array([0.05, 0.4, 0.2, 0.3, 0.05])
LOGITS = np.log(P).astype(np.float32)
SECOND = np.eye(5)[1]

close = functools.partial(closeness.close, tolerance=2e-6)


def next_logits(text: np.ndarray) -> np.ndarray:
    """Return the logits of the next token; no token attends to padding after it."""
    count = text.shape[-1]
    padded = np.pad(text, [(0, 0)] * (text.ndim - 1) + [(0, 8 - count)])
    return np.asarray(APPLY(VARIABLES, padded))[..., count - 1, :]


def probabilities(**settings: Any) -> np.ndarray:
    return np.asarray(jax.nn.softmax(choice_logits(LOGITS, **settings)))


def test_temperature_is_a_power_of_the_probabilities() -> None:
    close(probabilities(), P)
    close(probabilities(temperature=0.5), P**2 / np.sum(P**2))
    close(probabilities(temperature=1e-6), SECOND)
    close(probabilities(temperature=1e-38), SECOND)
    close(probabilities(temperature=0.0), SECOND)


def test_top_k_keeps_the_k_most_likely() -> None:
    close(probabilities(top_k=2), np.array([0, 4, 0, 3, 0]) / 7)
    close(probabilities(top_k=1), probabilities(temperature=0.0))
    close(probabilities(top_k=99), P)
    # The first of two equally likely tokens is kept, also with top_k=1.
    close(probabilities(top_k=4), np.array([1, 8, 4, 6, 0]) / 19)
    close(jax.nn.softmax(choice_logits(np.zeros(3, np.float32), top_k=1)), np.eye(3)[0])


def test_top_p_keeps_the_fewest_tokens_that_reach_it() -> None:
    close(probabilities(top_p=0.39), SECOND)
    close(probabilities(top_p=0.41), np.array([0, 4, 0, 3, 0]) / 7)
    close(probabilities(top_p=0.71), np.array([0, 4, 2, 3, 0]) / 9)
    close(probabilities(top_p=1e-9), SECOND)
    close(probabilities(top_p=1.0), P)
    # Top-p applies to the tokens left by top-k: the first has 4/7 of two.
    close(probabilities(top_k=2, top_p=0.5), SECOND)


def test_choices_of_a_batch_equal_those_of_its_rows() -> None:
    rows = np.random.default_rng(0).normal(size=(2, 3, 9)).astype(np.float32)
    choose = lambda x: choice_logits(x, 0.7, 5, 0.8)
    found = jax.jit(choose)(rows)
    np.testing.assert_array_equal(found, jax.jit(jax.vmap(jax.vmap(choose)))(rows))
    assert np.isfinite(found).sum() < 5 * 6


def test_greedy_text_is_the_best_token_at_each_step() -> None:
    text = PROMPT
    for _ in range(5):
        best = np.argmax(next_logits(text), axis=-1)
        text = np.concatenate([text, best[:, None].astype(np.int32)], axis=1)
    for settings in ({"temperature": 0.0}, {"top_k": 1}, {"top_p": 1e-6}):
        # Only four tokens: the text is cut before the fifth.
        added = generate(MODEL, VARIABLES, PROMPT, 4, jax.random.key(0), **settings)
        np.testing.assert_array_equal(added, text[:, 3:7])


def test_texts_have_the_probabilities_of_the_model() -> None:
    count = 4000
    prompt = np.tile(PROMPT[:1], (count, 1))
    settings = {"temperature": 0.8, "top_k": 4, "top_p": 0.9}
    added = np.asarray(
        generate(MODEL, VARIABLES, prompt, 2, jax.random.key(1), **settings)
    )
    filtered = lambda text: np.asarray(
        jax.nn.softmax(choice_logits(next_logits(text), 0.8, 4, 0.9))
    )
    first = filtered(PROMPT[0])
    pairs = np.zeros((7, 7))
    for token in range(7):
        second = filtered(np.append(PROMPT[0], np.int32(token)))
        pairs[token] = first[token] * second
    found = np.zeros((7, 7))
    np.add.at(found, (added[:, 0], added[:, 1]), 1 / count)
    assert (found[pairs == 0] == 0).all()
    assert (pairs > 0.01).sum() > 4, "several pairs must be likely"
    error = np.sqrt(pairs * (1 - pairs) / count)
    assert (np.abs(found - pairs) <= 4.5 * error + 1e-9).all()


def test_texts_may_be_longer_than_the_model_reads() -> None:
    run = lambda key: generate(MODEL, VARIABLES, PROMPT, 21, jax.random.key(key))
    text = run(0)
    assert text.shape == (2, 21)
    assert text.dtype == jnp.int32
    np.testing.assert_array_equal(text, run(0))
    assert (text != run(1)).any()
    # The token after the cut continues the text before it.
    greedy = generate(MODEL, VARIABLES, PROMPT, 5, jax.random.key(0), temperature=0.0)
    again = np.concatenate([PROMPT, greedy], axis=1)[:, 3:7]
    best = np.argmax(next_logits(again), axis=-1)
    np.testing.assert_array_equal(greedy[:, 4], best)


def test_every_window_of_a_long_text_is_drawn_with_its_own_key() -> None:
    """If windows shared a key, they would have the same tokens."""
    # All tokens are equally likely, whatever came before.
    uniform = jax.tree.map(np.zeros_like, VARIABLES)
    half, windows = MODEL.max_length // 2, 5
    text = generate(MODEL, uniform, PROMPT, windows * half, jax.random.key(0))
    drawn = {each.tobytes() for each in np.split(np.asarray(text), windows, axis=1)}
    assert len(drawn) == windows


def test_all_settings_share_one_program() -> None:
    from fdl.models.sampling import _continue

    run = lambda **settings: generate(
        MODEL, VARIABLES, PROMPT, 4, jax.random.key(0), **settings
    )
    run()
    before = _continue._cache_size()
    run(temperature=0.0)
    run(temperature=0.5, top_k=3)
    run(top_p=0.5)
    assert _continue._cache_size() == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": 0}, "length=0 must be at least 1"),
        ({"top_k": 0}, "top_k=0 must be at least 1"),
        ({"top_p": 0.0}, r"top_p=0.0 must be in"),
        ({"top_p": 1.5}, r"top_p=1.5 must be in"),
        ({"temperature": -1.0}, "temperature=-1.0 must be"),
        ({"temperature": float("nan")}, "temperature=nan must be"),
        ({"prompt": PROMPT[:, :0]}, "the prompt is empty"),
        ({"prompt": PROMPT[:0]}, "the prompt is empty"),
        ({"prompt": PROMPT + 4}, "prompt contains the token 7, .* from 0 to 6 "),
        ({"prompt": PROMPT - 2}, "prompt contains the token -1, .* from 0 to 6 "),
    ],
)
def test_refuses_invalid_settings(settings: dict[str, Any], message: str) -> None:
    arguments = {"prompt": PROMPT, "length": 3, **settings}
    with pytest.raises(ValueError, match=message):
        generate(MODEL, VARIABLES, key=jax.random.key(0), **arguments)

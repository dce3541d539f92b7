"""Decoding with a cache equals applying the model to the whole sequence."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from closeness import close
from fdl import models, nn
from zoo import draw_variables

TIME = 6
DECODER = nn.TransformerDecoder(2, 2, norm="pre", activation=nn.gelu)
MODEL = models.LanguageModel(11, DECODER, features=8, max_length=TIME)
TOKEN = np.random.default_rng(0).integers(11, size=(2, 3, TIME)).astype(np.int32)
VARIABLES = draw_variables(MODEL, TOKEN)
APPLY = jax.jit(MODEL.apply)
DECODE = jax.jit(functools.partial(MODEL.apply, method="decode"))


def decode(token: Any, cache: Any) -> Any:
    return DECODE(VARIABLES, token, cache)


def test_pieces_of_any_size_equal_the_whole() -> None:
    whole = APPLY(VARIABLES, TOKEN)
    cache, parts = MODEL.empty_cache((2, 3)), []
    for start, end in ((0, 3), (3, 3), (3, TIME)):
        logits, cache = decode(TOKEN[..., start:end], cache)
        assert int(cache[0].tokens.position) == end
        parts.append(logits)
    close(jnp.concatenate(parts, axis=-2), whole)


def test_a_compiled_scan_equals_the_whole() -> None:
    @jax.jit
    def run(token: Any) -> Any:
        def step(cache: Any, one: Any) -> Any:
            logits, cache = decode(one[..., None], cache)
            return cache, logits[..., 0, :]

        each = jnp.moveaxis(token, -1, 0)
        return jax.lax.scan(step, MODEL.empty_cache((2, 3)), each)[1]

    whole = APPLY(VARIABLES, TOKEN)
    close(jnp.moveaxis(run(TOKEN), 0, -2), whole)


def test_under_vmap_each_sequence_has_its_own_position() -> None:
    token, whole = TOKEN[0], APPLY(VARIABLES, TOKEN[0])
    caches = []
    for sequence in range(3):
        cache = MODEL.empty_cache(())
        for place in range(sequence + 1):
            _, cache = decode(token[sequence, place : place + 1], cache)
        caches.append(cache)
    cache = jax.tree.map(lambda *leaves: np.stack(leaves), *caches)
    logits, cache = jax.vmap(decode)(
        token[np.arange(3), np.arange(1, 4)][:, None], cache
    )
    close(logits[:, 0], whole[np.arange(3), np.arange(1, 4)])
    np.testing.assert_array_equal(cache[0].tokens.position, [2, 3, 4])


def test_logits_beyond_the_length_of_a_cache_are_nan() -> None:
    cache = MODEL.empty_cache((2, 3), length=3)
    logits, cache = decode(TOKEN[..., :3], cache)
    assert np.isfinite(logits).all()
    assert np.isnan(decode(TOKEN[..., 3:], cache)[0]).all()


def test_decoding_does_not_change_the_old_cache() -> None:
    _, first = decode(TOKEN[..., :3], MODEL.empty_cache((2, 3)))
    before = jax.tree.map(np.copy, first)
    decode(TOKEN[..., 3:], first)
    jax.tree.map(np.testing.assert_array_equal, first, before)


def test_a_mask_hides_places_in_the_cache() -> None:
    layer = nn.MultiHeadAttention(2, 4)
    decode = jax.jit(functools.partial(layer.apply, method="decode"))
    x = np.random.default_rng(1).normal(size=(2, TIME, 8)).astype(np.float32)
    variables = draw_variables(layer, x)
    mask = np.ones((2, TIME), bool)
    mask[0, 1] = mask[1, 3] = False
    apply = jax.jit(functools.partial(layer.apply, causal=True))
    whole = apply(variables, x, mask=mask[:, None])
    cache = layer.empty_cache((2,), TIME)
    for start, end in ((0, 4), (4, TIME)):
        y, cache = decode(variables, x[:, start:end], cache, mask=mask[:, None])
        close(y, whole[:, start:end])


def test_encoder_decoder_reads_its_source_once() -> None:
    model = models.Transformer(
        11,
        nn.TransformerEncoder(1, 2),
        nn.TransformerDecoder(1, 2, norm="pre"),
        features=8,
        pad_token=0,
        source_vocab_size=15,
    )
    source = np.array([[[1, 2, 3, 0, 0]], [[4, 5, 6, 7, 14]]], np.int32)
    target = TOKEN[:, :1]
    variables = draw_variables(model, source, target)
    whole = jax.jit(model.apply)(variables, source, target)
    start = functools.partial(model.apply, method="start")
    cache = jax.jit(start, static_argnums=2)(variables, source, TIME)
    decode = jax.jit(functools.partial(model.apply, method="decode"))
    assert int(cache.blocks[0].memory.position) == 5
    for start, end in ((0, 3), (3, TIME)):
        logits, cache = decode(variables, target[..., start:end], cache)
        close(logits, whole[..., start:end, :])
    assert int(cache.blocks[0].memory.position) == 5


@pytest.mark.parametrize("kind", ["learned", "sinusoidal"])
def test_positions_distinguish_steps(kind: str) -> None:
    layer = nn.Positions(kind, max_length=5)
    x = np.zeros((2, 3, 6), np.float32)
    variables = draw_variables(layer, x) if kind == "learned" else {}
    y = layer.apply(variables, x)
    assert len(np.unique(y[0], axis=0)) == 3
    close(layer.apply(variables, x, 1)[:, :2], y[:, 1:])
    beyond = layer.apply(variables, x, 4)
    assert np.isnan(beyond[:, 1:]).all() == (kind == "learned")


def test_refuses_options_that_do_not_fit() -> None:
    init = lambda model, *x: jax.eval_shape(model.init, jax.random.key(0), *x)
    x = np.zeros((2, 4, 9), np.float32)
    with pytest.raises(ValueError, match="num_heads=2 must divide the 9 features"):
        init(DECODER, x)
    with pytest.raises(ValueError, match="must be causal"):
        init(models.LanguageModel(11, nn.TransformerEncoder(1, 2)), TOKEN)
    with pytest.raises(ValueError, match="7 tokens is longer than max_length=6"):
        init(MODEL, np.zeros((1, 7), np.int32))
    encoder = nn.TransformerEncoder(1, 2)
    image = np.zeros((1, 28, 28, 1), np.float32)
    with pytest.raises(ValueError, match="5x5 pixels do not fill an image of 28x28"):
        init(models.VisionTransformer(10, encoder, patch_size=5), image)


@pytest.mark.parametrize(
    ("make", "value"),
    [
        (lambda value: nn.TransformerEncoder(1, 2, norm=value), "both"),
        (lambda value: nn.Positions(value, 5), "rotary"),
        (
            lambda value: models.VisionTransformer(
                10, nn.TransformerEncoder(1, 2), pooling=value
            ),
            "max",
        ),
    ],
)
def test_refuses_unknown_options(make: Any, value: str) -> None:
    # In tests, types are checked first, and raise a TypeCheckError.
    with pytest.raises((ValueError, jaxtyping.TypeCheckError), match=value):
        make(value).init(jax.random.key(0), np.zeros((28, 28, 2), np.float32))


def test_a_learned_token_can_be_classified() -> None:
    model = models.VisionTransformer(
        10, nn.TransformerEncoder(1, 2), features=8, pooling="token"
    )
    image = np.random.default_rng(0).random((2, 3, 28, 28, 1), np.float32)
    variables = draw_variables(model, image)
    assert variables["params"]["token"]["embedding"].shape == (1, 8)
    assert variables["params"]["position"]["embedding"].shape == (17, 8)
    apply = jax.jit(model.apply)
    close(apply(variables, image)[1, 2], apply(variables, image[1, 2]))
    grads = jax.jit(jax.grad(lambda v: jnp.sum(apply(v, image) ** 2)))(variables)
    assert np.abs(grads["params"]["token"]["embedding"]).max() > 0

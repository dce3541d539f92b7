"""Sampling of texts from a language model."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Float, Int, Integer

from fdl.arrays import Array, Key, PyTree, Seed, as_key
from fdl.ranges import require_number, require_whole

ALL = 2**31 - 1
"""Value of `top_k` that keeps all tokens."""


def choice_logits(
    logits: Float[Array, "*batch vocab"],
    temperature: Float[Array, ""] | float = 1.0,
    top_k: Int[Array, ""] | int = ALL,
    top_p: Float[Array, ""] | float = 1.0,
) -> Float[Array, "*batch vocab"]:
    """Return the logits to sample from, with -inf for excluded tokens.

    `generate` samples from the softmax of the result. Top-p, or nucleus sampling
    (Holtzman et al., 2020, arXiv:1904.09751), is applied after temperature and top-k.
    Among equally likely tokens, those with smaller indices come first.

    Args:
        logits: Logits of all tokens.
        temperature: Divisor of the logits, at least 0. At 0, only the most likely token
            is kept.
        top_k: Number of most likely tokens to keep, at least 1.
        top_p: Probability mass to keep, in (0, 1]: that of the smallest set of most
            likely tokens that reaches it, at least one token.

    Example:
        >>> logits = jnp.log(jnp.array([0.5, 0.3, 0.2]))
        >>> choices = jax.nn.softmax(choice_logits(logits, top_p=0.7))
        >>> [round(float(chance), 3) for chance in choices]
        [0.625, 0.375, 0.0]
    """
    # Use ranks: a threshold would keep all tokens tied with it.
    order = jnp.argsort(-logits, axis=-1, stable=True)
    rank = jnp.argsort(order, axis=-1, stable=True)
    greedy = jnp.equal(temperature, 0)
    # Subtract the maximum, so that no temperature is too small to divide by.
    below = logits - jnp.max(logits, axis=-1, keepdims=True)
    scaled = below / jnp.where(greedy, 1, temperature).astype(logits.dtype)
    kept = jnp.where(rank < jnp.where(greedy, 1, top_k), scaled, -jnp.inf)
    falling = jnp.take_along_axis(jax.nn.softmax(kept), order, axis=-1)
    better = jnp.take_along_axis(jnp.cumsum(falling, axis=-1) - falling, rank, axis=-1)
    # Sums are rounded: neither the best token nor top_p=1 may depend on them.
    nucleus = (better < top_p) | (rank == 0) | jnp.greater_equal(top_p, 1)
    return jnp.where(nucleus, kept, -jnp.inf)


def generate(
    model: Any,
    variables: PyTree,
    prompt: Integer[Array, "*batch prompt_time"],
    length: int,
    key: Seed,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Int[Array, "*batch {length}"]:
    """Continue texts, sampling one token at a time.

    Attention keys and values are cached, so each step processes only the new token.
    When the model's `max_length` is reached, the last half is read again, and sampling
    continues from there. New lengths of the prompt or its continuation compile new
    programs; new values of temperature, top-k and top-p do not.

    Args:
        model: A model with `vocab_size`, `max_length`, `empty_cache` and `decode`, such
            as `LanguageModel`.
        variables: Variables of the model.
        prompt: The tokens to continue, at least one, all below the model's
            `vocab_size`. If the prompt is longer than half of `max_length`, only its
            end is read.
        length: Number of tokens to add, at least 1.
        key: Random key, or a seed.
        temperature: See `choice_logits`.
        top_k: See `choice_logits`; None for all tokens.
        top_p: See `choice_logits`; None for all tokens.

    Returns:
        The added tokens.

    Raises:
        ValueError: If a number or a token is out of range, or the prompt is empty.

    Example:
        >>> from fdl import models, nn
        >>> decoder = nn.TransformerDecoder(num_layers=1, num_heads=2)
        >>> model = models.LanguageModel(50, decoder, features=16, max_length=32)
        >>> prompt = jnp.array([[1, 2, 3]])
        >>> variables = jax.jit(model.init)(jax.random.key(0), prompt)
        >>> generate(model, variables, prompt, 40, jax.random.key(1)).shape
        (1, 40)
    """
    _check(prompt, length, temperature, top_k, top_p, model)
    half = model.max_length // 2
    settings = (
        jnp.float32(temperature),
        jnp.int32(ALL if top_k is None else min(top_k, ALL)),
        jnp.float32(1 if top_p is None else top_p),
    )
    text, key = jnp.asarray(prompt, jnp.int32), as_key(key)
    start = text.shape[-1]
    while text.shape[-1] < start + length:
        read = text[..., -half:]
        new = _continue(model, variables, read, half, key, settings)
        key = jax.random.fold_in(key, 0)
        text = jnp.concatenate([text, new], axis=-1)
    return text[..., start : start + length]


@functools.partial(jax.jit, static_argnames=("model", "length"))
def _continue(
    model: Any,
    variables: PyTree,
    prompt: Array,
    length: int,
    key: Key,
    settings: PyTree,
) -> Array:
    """Sample as many tokens as fit into one cache."""
    decode = functools.partial(model.apply, variables, method="decode")

    def choose(logits: Array, at: Array | int) -> Array:
        drawn = jax.random.fold_in(key, 1 + at)
        return jax.random.categorical(drawn, choice_logits(logits, *settings))

    def step(carry: PyTree, at: Array) -> tuple[PyTree, Array]:
        token, cache = carry
        logits, cache = decode(token[..., None], cache)
        return (choose(logits[..., -1, :], at), cache), token

    cache = model.empty_cache(prompt.shape[:-1])
    logits, cache = decode(prompt, cache)
    first = choose(logits[..., -1, :], 0)
    _, tokens = lax.scan(step, (first, cache), jnp.arange(1, length + 1))
    return jnp.moveaxis(tokens, 0, -1)


def _check(
    prompt: Array,
    length: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    model: Any,
) -> None:
    if 0 in prompt.shape:
        raise ValueError("the prompt is empty: pass at least one token.")
    require_tokens(prompt, "prompt", model.vocab_size)
    if model.max_length < 2:
        raise ValueError(
            f"the model's max_length={model.max_length} must be at least 2."
        )
    require_whole("[1, inf)", length=length)
    require_whole("[1, inf) or None", top_k=top_k)
    require_number("[0, inf)", temperature=temperature)
    require_number("(0, 1] or None", top_p=top_p)


def require_tokens(
    token: Integer[Array, "*tokens"],
    name: str,
    size: int,
    size_name: str = "vocab_size",
) -> None:
    """Raise ValueError if a token is outside the vocabulary; skip traced tokens.

    Args:
        token: The tokens, at least one.
        name: Name of the argument, for the message.
        size: Size of the vocabulary.
        size_name: Name of the model's attribute with this size.
    """
    if isinstance(token, Tracer):
        return
    # A token without an embedding gives NaN, from which nothing can be chosen.
    values = np.asarray(token)  # inside a traced program, JAX would trace this
    low, high = int(values.min()), int(values.max())
    if low < 0 or high >= size:
        raise ValueError(
            f"{name} contains the token {low if low < 0 else high}, but this model has "
            f"tokens from 0 to {size - 1} (its {size_name} is {size})."
        )

"""Beam search for the likeliest targets of a source."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Bool, Float, Int, Integer

from fdl.arrays import Array, PyTree
from fdl.models.sampling import require_tokens
from fdl.ranges import require_number, require_whole


class Hypotheses(NamedTuple):
    """Targets found for each source, best first.

    Attributes:
        token: The tokens, up to and including the end token; padding after it.
        score: Log-probability divided by the length penalty; -inf where there are fewer
            hypotheses than beams.
        length: Number of tokens, including the end token.
        finished: Whether there is an end token. Hypotheses without one have reached the
            limit, and come after all others.
        weights: Attention of each token to each token of the source; None unless
            requested.
    """

    token: Int[Array, "*batch beams length"]
    score: Float[Array, "*batch beams"]
    length: Int[Array, "*batch beams"]
    finished: Bool[Array, "*batch beams"]
    weights: Float[Array, "*batch beams length source_time"] | None


def beam_search(
    model: Any,
    variables: PyTree,
    source: Integer[Array, "*batch source_time"],
    length: int,
    *,
    beams: int = 5,
    alpha: float = 0.6,
    ensemble: bool = False,
    alignments: bool = False,
    start_token: int = 1,
    end_token: int = 2,
    pad_token: int = 0,
) -> Hypotheses:
    """Search for the likeliest targets (Graves, 2012, arXiv:1211.3711, section 2.5).

    At each step, the best unfinished hypotheses are extended by all tokens. Finished
    ones are ranked by their log-probability over `((5 + n) / 6) ** alpha` for `n`
    tokens (Wu et al., 2016, arXiv:1609.08144). The search ends when no unfinished
    hypothesis can beat the worst of the finished ones kept. With one beam, it is
    greedy.

    Args:
        model: A model with `start` and `decode`: a `Transformer`, `EncoderDecoder` or
            `AttentionEncoderDecoder`.
        variables: Its variables; for an ensemble, those of all members, stacked on a
            new first axis.
        source: The sources, padded to the same length, at least 1.
        length: Maximum number of tokens of a target, including the end token, at least
            1. A new length or shape of sources compiles a new program.
        beams: Number of hypotheses to keep, at least 1. More are not always better.
        alpha: Exponent of the length penalty, at least 0. At 0, hypotheses are ranked
            by their probability, which favors short ones.
        ensemble: Whether `variables` are those of several members, whose probabilities
            are averaged before each choice.
        alignments: Whether to return attention weights.
        start_token: Token before a target, not part of it.
        end_token: Last token of a target.
        pad_token: Padding token of sources and targets.

    Raises:
        ValueError: If a number is out of range, a source is empty or has a token
            outside the vocabulary, or `variables` are not those of an ensemble.

    Example:
        >>> from fdl import models, nn
        >>> encoder = nn.TransformerEncoder(num_layers=1, num_heads=2)
        >>> decoder = nn.TransformerDecoder(num_layers=1, num_heads=2)
        >>> model = models.Transformer(9, encoder, decoder, features=8, pad_token=0)
        >>> source = jnp.array([[3, 5, 4, 2], [6, 7, 2, 0]])
        >>> variables = jax.jit(model.init)(jax.random.key(0), source, source)
        >>> found = beam_search(model, variables, source, 6, beams=3, alignments=True)
        >>> found.token.shape, found.weights.shape
        ((2, 3, 6), (2, 3, 6, 4))
        >>> bool(jnp.all(found.finished[:, 0] >= found.finished[:, 1]))
        True
    """
    require_whole("[1, inf)", length=length, beams=beams)
    require_number("[0, inf)", alpha=alpha)
    tokens = _Tokens(start_token, end_token, pad_token)
    _check(model, source, tokens)
    if ensemble:
        _require_members(variables)
    return _search(
        model,
        variables,
        jnp.asarray(source, jnp.int32),
        jnp.float32(alpha),
        length=length,
        beams=beams,
        ensemble=ensemble,
        alignments=alignments,
        tokens=tokens,
    )


class _Tokens(NamedTuple):
    """The special tokens."""

    start: int
    end: int
    pad: int


class _Loop(NamedTuple):
    """The state between two steps, after `step` tokens have been chosen.

    The score of unfinished hypotheses is their log-probability, without the penalty.
    """

    step: Array
    live: Hypotheses
    ended: Hypotheses
    cache: PyTree


@functools.partial(
    jax.jit,
    static_argnames=("model", "length", "beams", "ensemble", "alignments", "tokens"),
)
def _search(
    model: Any,
    variables: PyTree,
    source: Array,
    alpha: Array,
    *,
    length: int,
    beams: int,
    ensemble: bool,
    alignments: bool,
    tokens: _Tokens,
) -> Hypotheses:
    *batch, time = source.shape
    source = source.reshape(-1, time)
    count = source.shape[0]  # symbolic in an exported program
    over = lambda call, *axes: jax.vmap(call, in_axes=axes) if ensemble else call

    def start(variables: PyTree) -> PyTree:
        return model.apply(variables, source, length, method="start")

    def decode(variables: PyTree, cache: PyTree, token: Array) -> PyTree:
        """Return log-probabilities of the next token, weights, and the new cache."""
        apply = functools.partial(model.apply, variables, token[:, None], cache)
        if not alignments:
            logits, cache = apply(method="decode")
            return jax.nn.log_softmax(logits[:, -1]), None, cache
        (logits, cache), seen = apply(method="decode", mutable="intermediates")
        weights = model.alignment(seen["intermediates"])[:, -1]
        return jax.nn.log_softmax(logits[:, -1]), weights, cache

    def keep(cache: PyTree, rows: Array) -> PyTree:
        """Select the rows of the cache that belong to the new hypotheses."""
        # Scalars that all rows share, such as the position, stay as they are.
        return jax.tree.map(lambda x: x[rows] if x.ndim else x, cache)

    start, decode, keep = over(start, 0), over(decode, 0, 0, None), over(keep, 0, None)

    def penalty(n: Array | int) -> Array:
        return ((5 + n) / 6) ** alpha

    def advance(loop: _Loop) -> _Loop:
        at, live = loop.step, loop.live
        before = lax.dynamic_index_in_dim(live.token, at - 1, axis=2, keepdims=False)
        token = jnp.where(at == 0, tokens.start, before).ravel()
        logs, weights, cache = decode(variables, loop.cache, token)
        if ensemble:
            logs = jax.nn.logsumexp(logs, axis=0) - jnp.log(len(logs))
            weights = None if weights is None else weights.mean(axis=0)
        vocab = logs.shape[-1]
        word = jnp.arange(vocab)
        never = (word == tokens.pad) | (word == tokens.start)
        logs = jnp.where(never, -jnp.inf, logs).reshape(count, beams, vocab)

        # Among twice as many candidates as beams, at most `beams` end. A single beam
        # ends if its likeliest token is the end token.
        total = (live.score[..., None] + logs).reshape(count, beams * vocab)
        score, place = lax.top_k(total, 2 * beams if beams > 1 else 1)
        parent, token = place // vocab, place % vocab
        ends = (token == tokens.end) & (score > -jnp.inf)
        grown = _rows(live, parent)
        if weights is not None:
            new = _rows(weights.reshape(count, beams, time), parent)
            weights = jnp.asarray(grown.weights).at[:, :, at].set(new)
        grown = Hypotheses(
            token=grown.token.at[:, :, at].set(token),
            score=score,
            length=jnp.full_like(grown.length, at + 1),
            finished=ends,
            weights=weights,
        )
        final = jnp.where(ends, score / penalty(at + 1), -jnp.inf)
        ended = _best(_joined(loop.ended, grown._replace(score=final)), beams)
        going = jnp.where(ends, -jnp.inf, score)
        order = jnp.argsort(-going, axis=1, stable=True)[:, :beams]
        live = _rows(grown._replace(score=going, finished=jnp.zeros_like(ends)), order)
        rows = jnp.arange(count)[:, None] * beams + _rows(parent, order)
        return _Loop(at + 1, live, ended, keep(cache, rows.ravel()))

    def can_improve(loop: _Loop) -> Array:
        # Log-probabilities are at most 0, so the longest target is penalized least.
        hope = jnp.max(loop.live.score, axis=1) / penalty(length)
        return (loop.step < length) & jnp.any(hope > jnp.min(loop.ended.score, axis=1))

    nothing = Hypotheses(
        token=jnp.full((count, beams, length), tokens.pad, jnp.int32),
        score=jnp.full((count, beams), -jnp.inf),
        length=jnp.zeros((count, beams), jnp.int32),
        finished=jnp.zeros((count, beams), bool),
        weights=jnp.zeros((count, beams, length, time)) if alignments else None,
    )
    # Start with a single beam: identical beams would choose the same tokens.
    live = nothing._replace(score=jnp.where(jnp.arange(beams) == 0, 0, nothing.score))
    cache = keep(start(variables), jnp.repeat(jnp.arange(count), beams))
    loop = _Loop(jnp.int32(0), live, nothing, cache)
    loop = lax.while_loop(can_improve, advance, loop)
    live = loop.live._replace(score=loop.live.score / penalty(loop.live.length))
    found = _best(_joined(loop.ended, live), beams)
    there = found.score > -jnp.inf
    found = jax.tree.map(
        lambda x, none: jnp.where(
            jnp.expand_dims(there, tuple(range(2, x.ndim))), x, none
        ),
        found,
        nothing,
    )
    return jax.tree.map(lambda x: x.reshape(*batch, *x.shape[1:]), found)


def _rows(tree: PyTree, index: Array) -> PyTree:
    """Select hypotheses of each source by index."""
    return jax.tree.map(lambda x: jax.vmap(lambda x, i: x[i])(x, index), tree)


def _joined(a: Hypotheses, b: Hypotheses) -> Hypotheses:
    return jax.tree.map(lambda x, y: jnp.concatenate([x, y], axis=1), a, b)


def _best(found: Hypotheses, count: int) -> Hypotheses:
    """Return the best hypotheses, finished ones first."""
    order = jnp.lexsort((-found.score, ~found.finished), axis=1)
    return _rows(found, order[:, :count])


def _check(model: Any, source: Array, tokens: _Tokens) -> None:
    if 0 in source.shape:
        raise ValueError(
            f"source has the shape {source.shape}: pass at least one source with at "
            "least one token."
        )
    for name, token in tokens._asdict().items():
        if not 0 <= token < model.vocab_size:
            raise ValueError(
                f"{name}_token={token} must be from 0 to {model.vocab_size - 1}: the "
                f"model's vocab_size is {model.vocab_size}."
            )
    if len(set(tokens)) < 3:
        raise ValueError(
            f"start_token={tokens.start}, end_token={tokens.end} and "
            f"pad_token={tokens.pad} must be three different tokens."
        )
    if not isinstance(source, Tracer):
        # With NumPy: inside a traced program, JAX would trace operations on constants.
        if not np.any(np.asarray(source) != tokens.pad, axis=-1).all():
            raise ValueError("a source contains only padding: leave it out.")
    size = getattr(model, "source_vocab_size", None)
    if size is None:
        require_tokens(source, "source", model.vocab_size)
    else:
        require_tokens(source, "source", size, "source_vocab_size")


def _require_members(variables: PyTree) -> None:
    first = {np.shape(x)[:1] for x in jax.tree.leaves(variables)}
    if len(first) == 1 and first != {()}:
        return
    raise ValueError(
        "ensemble=True needs the variables of several members, stacked on a new first "
        "axis as fit_many returns them. For a single member, pass ensemble=False."
    )

"""Attention without projections: dot-product and additive (Bahdanau et al., 2015)."""

from typing import Any

import jax
import jax.numpy as jnp

from fdl.arrays import Array
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.noise import drop
from fdl.keras.table.options import SEED, Option, choice, flag, number


def _dot(run: Run, q: Array, k: Array) -> Array:
    scores = jnp.einsum("...tc,...sc->...ts", q, k)
    if run.options["use_scale"]:
        scores = scores * run.weight("scale", (), start="Ones")
    return scores


def _concat(run: Run, q: Array, k: Array) -> Array:
    scale = run.weight("scale", (), start="Ones") if run.options["use_scale"] else None
    score = run.weight("concat_score_weight", (), start="Ones")
    pairs = q[..., :, None, :] + k[..., None, :, :]
    pairs = pairs if scale is None else pairs * scale
    return score * jnp.sum(jnp.tanh(pairs), axis=-1)


def _additive(run: Run, q: Array, k: Array) -> Array:
    scores = jnp.tanh(q[..., :, None, :] + k[..., None, :, :])
    if run.options["use_scale"]:
        scale = run.weight("scale", (q.shape[-1],), start="GlorotUniform")
        scores = scores * jnp.broadcast_to(scale, scores.shape)
    return jnp.sum(scores, axis=-1)


def _attention(
    run: Run,
    inputs: tuple[Array, ...],
    mask: Any = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
) -> Any:
    query, value = inputs[:2]
    key = inputs[2] if len(inputs) > 2 else value
    mode = run.options.get("score_mode", "additive")
    score = {"dot": _dot, "concat": _concat, "additive": _additive}[mode]
    scores = score(run, query, key)
    masks = run.masks.get(0) if mask is None else mask
    q_mask, v_mask = (masks[0], masks[1]) if isinstance(masks, tuple) else (None, None)
    allowed = None if v_mask is None else v_mask[:, None]
    if use_causal_mask:
        below = jnp.tril(jnp.ones(scores.shape[-2:], bool))[None]
        allowed = below if allowed is None else jnp.logical_and(allowed, below)
    if allowed is not None:
        far = 65504.0 if scores.dtype == jnp.float16 else 1e9
        allowed = jnp.broadcast_to(allowed, scores.shape)
        scores = jnp.where(allowed, scores, scores - far)
    weights = jax.nn.softmax(scores, axis=-1)
    weights = drop(run, weights, run.options["dropout"])
    y = jnp.einsum("...ts,...sf->...tf", weights, value)
    if q_mask is not None:
        y = jnp.where(jnp.broadcast_to(q_mask[..., None], y.shape), y, 0)
    if return_attention_scores:
        run.out_mask = (q_mask, None)
        return y, weights
    run.out_mask = q_mask
    return y


_OPTIONS = {"dropout": Option(number(0, 1), 0.0), "seed": SEED}
_CALL = ("return_attention_scores", "use_causal_mask", "mask")

LAYERS = {
    "Attention": Entry(
        _attention,
        {
            "use_scale": Option(flag, False),
            "score_mode": Option(choice("dot", "concat"), "dot"),
            **_OPTIONS,
        },
        kwargs=_CALL,
    ),
    "AdditiveAttention": Entry(
        _attention, {"use_scale": Option(flag, True), **_OPTIONS}, kwargs=_CALL
    ),
}

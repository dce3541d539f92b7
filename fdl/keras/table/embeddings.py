"""Embeddings of tokens, which may also map vectors back to logits."""

import jax.numpy as jnp

from fdl.arrays import Array
from fdl.keras.table.core import QUANTIZED
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.initializers import draw
from fdl.keras.table.options import (
    Option,
    anything,
    choice,
    flag,
    number,
    optional,
    weight,
    whole,
)


def _table(run: Run) -> Array:
    shape = (run.options["input_dim"], run.options["output_dim"])
    return run.weight("embedding", shape, "embeddings")


def _embedding(run: Run, token: Array) -> Array:
    return _found(run, _table(run), token)


def _found(run: Run, table: Array, token: Array) -> Array:
    if not jnp.issubdtype(token.dtype, jnp.integer):
        token = token.astype(jnp.int32)
    if run.options["mask_zero"]:
        run.out_mask = token != 0
    return jnp.take(table, token, axis=0, mode="fill")


def _reversible(run: Run, x: Array, reverse: bool = False) -> Array:
    o, table = run.options, _table(run)
    back = table.T
    if not o["tie_weights"]:
        shape = (o["output_dim"], o["input_dim"])
        start = o["embeddings_initializer"]
        back = run.weight("reverse_embedding", shape, drawn=draw(start, None))
    if not reverse:
        return _found(run, table, x)
    if o["reverse_dtype"]:
        x, back = x.astype(o["reverse_dtype"]), back.astype(o["reverse_dtype"])
    logits, cap = x @ back, o["logit_soft_cap"]
    return logits if cap is None else jnp.tanh(logits / cap) * cap


_OPTIONS = {
    "input_dim": Option(whole()),
    "output_dim": Option(whole()),
    "mask_zero": Option(flag, False),
    "input_length": Option(anything, None),
    **weight("embeddings", "RandomUniform"),
    **QUANTIZED,
}
_FLOATS = ("float16", "bfloat16", "float32", "float64")

LAYERS = {
    "Embedding": Entry(_embedding, _OPTIONS, level="tokens out of range give NaN"),
    "ReversibleEmbedding": Entry(
        _reversible,
        {
            **_OPTIONS,
            "tie_weights": Option(flag, True),
            "reverse_dtype": Option(optional(choice(*_FLOATS)), None),
            "logit_soft_cap": Option(optional(number(1e-30)), None),
        },
        kwargs=("reverse",),
        level="tokens out of range give NaN",
    ),
}

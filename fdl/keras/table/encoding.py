"""Layers that bin numbers, look up tokens, and encode integers as vectors."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl.arrays import Array
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.options import (
    Option,
    anything,
    choice,
    flag,
    number,
    optional,
    several,
    whole,
)

_INT = whole(-(1 << 31))


def _encoded(
    index: Array, mode: str, depth: int, weights: Array | None = None
) -> Array:
    """Encode integers as vectors; those out of `range(depth)` contribute nothing."""
    if mode == "int":
        return index
    if mode == "one_hot":
        if index.ndim > 1 and index.shape[-1] == 1:
            index = index[..., 0]
        return jax.nn.one_hot(index, depth)
    if index.ndim < 2:
        raise ValueError(
            f"output_mode={mode!r} would encode a batch of scalars as a single vector; "
            "add an axis to each example"
        )
    each = jax.nn.one_hot(index, depth)
    if mode == "multi_hot":
        return jnp.max(each, axis=1)
    if weights is not None:
        each = each * jnp.broadcast_to(weights[..., None], each.shape)
    return jnp.sum(each, axis=1)


def _category(run: Run, x: Array, count_weights: Array | None = None) -> Array:
    o = run.options
    if count_weights is not None and o["output_mode"] != "count":
        raise ValueError("count_weights= requires output_mode='count'")
    return _encoded(
        x.astype(jnp.int32), o["output_mode"], o["num_tokens"], count_weights
    )


def _discretization(run: Run, x: Array) -> Array:
    o = run.options
    if o["bin_boundaries"] is None:
        raise ValueError("it has no bin boundaries: adapt it, and save the model again")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        x = x.astype(jnp.float32)
    bounds = jnp.asarray(o["bin_boundaries"], x.dtype)
    index = jnp.searchsorted(bounds, x, side="right")
    return _encoded(index, o["output_mode"], len(bounds) + 1)


def _lookup(run: Run, x: Array) -> Array:
    """Look up tokens in a sorted vocabulary; indices of unknown ones come first."""
    o, x = run.options, x.astype(jnp.int32)
    if o["vocabulary"] is None:
        raise ValueError(
            "it has no vocabulary: adapt it and save the model as .keras, since .h5 "
            "files do not contain it"
        )
    mask, mode, unknown = o["mask_token"], o["output_mode"], o["num_oov_indices"]
    first = int(mask is not None and mode == "int")
    start = first + unknown
    tokens = np.array(known_tokens(o), np.int32)
    if o["invert"]:
        table = np.full(start + len(tokens) + 1, o["oov_token"], np.int32)
        table[start:-1] = tokens
        inside = (x >= 0) & (x < len(table))
        found = jnp.asarray(table)[jnp.where(inside, x, len(table) - 1)]
        return found if mask is None else jnp.where(x == 0, mask, found)
    order = np.argsort(tokens)
    sorted_tokens = jnp.asarray(tokens[order])
    place = jnp.minimum(jnp.searchsorted(sorted_tokens, x), len(tokens) - 1)
    other = first + x % unknown if unknown else jnp.full_like(x, -1)
    known = start + jnp.asarray(order, jnp.int32)[place]
    found = jnp.where(sorted_tokens[place] == x, known, other)
    if mask is not None:
        found = jnp.where(x == mask, 0 if mode == "int" else -1, found)
    depth = o["max_tokens"] if o["pad_to_max_tokens"] else start + len(tokens)
    return _encoded(found, mode, depth)


def known_tokens(options: Any) -> list[int]:
    """Return the tokens of a vocabulary without the special tokens at its start.

    Example:
        >>> options = {"vocabulary": (-1, 7, 9), "num_oov_indices": 1, "oov_token": -1}
        >>> known_tokens({**options, "mask_token": None, "output_mode": "int"})
        [7, 9]
    """
    o = options
    has_mask = o["mask_token"] is not None and o["output_mode"] == "int"
    special = [o["mask_token"]] * has_mask + [o["oov_token"]] * o["num_oov_indices"]
    words = list(o["vocabulary"])
    return words[len(special) :] if words[: len(special)] == special else words


def _tokens(value: Any) -> tuple[int, ...]:
    tokens = several(_INT)(value)
    if not tokens:
        raise ValueError("must not be empty")
    return tokens


def _sorted_numbers(value: Any) -> tuple[float, ...]:
    bounds = several(number())(value)
    if list(bounds) != sorted(bounds):
        raise ValueError("must be sorted")
    return bounds


_SPARSE = {"sparse": Option(choice(False), False)}
_VECTORS = ("one_hot", "multi_hot", "count")

LAYERS = {
    "CategoryEncoding": Entry(
        _category,
        {
            "num_tokens": Option(whole()),
            "output_mode": Option(choice(*_VECTORS), "multi_hot"),
            **_SPARSE,
        },
        kwargs=("count_weights",),
    ),
    "Discretization": Entry(
        _discretization,
        {
            "bin_boundaries": Option(optional(_sorted_numbers), None),
            "num_bins": Option(optional(whole()), None),
            "epsilon": Option(anything, 0.01),
            "output_mode": Option(choice("int", *_VECTORS), "int"),
            **_SPARSE,
        },
    ),
    "IntegerLookup": Entry(
        _lookup,
        {
            "max_tokens": Option(optional(whole()), None),
            "num_oov_indices": Option(whole(0, 1 << 20), 1),
            "mask_token": Option(optional(_INT), None),
            "oov_token": Option(_INT, -1),
            "vocabulary": Option(optional(_tokens), None),
            "vocabulary_dtype": Option(choice("int64"), "int64"),
            "vocabulary_size": Option(anything, None),
            "idf_weights": Option(choice(None), None),
            "invert": Option(flag, False),
            "output_mode": Option(choice("int", *_VECTORS), "int"),
            "pad_to_max_tokens": Option(flag, False),
            "oov_method": Option(choice("floormod"), "floormod"),
            "salt": Option(choice(None), None),
            "has_input_vocabulary": Option(anything, None),
            **_SPARSE,
        },
        level="with `num_oov_indices=0`, an unknown token is an error in Keras, and -1 "
        "in fdl",
    ),
}

"""Multi-head attention (Vaswani et al., 2017)."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fdl import nn
from fdl.arrays import Array
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.options import (
    BIAS,
    KERNEL,
    SEED,
    Option,
    anything,
    flag,
    number,
    optional,
    several,
    whole,
)


class _Sizes(NamedTuple):
    heads: int
    groups: int  # heads of keys and values
    key: int
    value: int
    out: tuple[int, ...]


def _multi_head(
    run: Run,
    query: Array,
    value: Array,
    key: Array | None = None,
    attention_mask: Array | None = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
) -> Any:
    o = run.options
    heads, size = o["num_heads"], o["key_dim"]
    out = o["output_shape"] or query.shape[-1:]
    sizes = _Sizes(heads, heads, size, o["value_dim"] or size, out)
    given: Any = o["attention_axes"] or range(1, query.ndim - 1)
    axes = sorted(axis % query.ndim for axis in given)
    key = value if key is None else key
    lengths = [tuple(x.shape[axis] for axis in axes) for x in (query, key)]
    if attention_mask is not None and len(axes) > 1:
        pairs = (math.prod(each) for each in lengths)
        before = attention_mask.shape[: -2 * len(axes)]
        attention_mask = attention_mask.reshape(*before, *pairs)
    allowed = _allowed(run, attention_mask, use_causal_mask, len(axes))
    q, k, v = _join(query, axes), _join(key, axes), _join(value, axes)
    allowed = _beside(allowed, query.ndim - len(axes) - 2)
    y, scores = _attend(
        run, q, k, v, sizes, allowed, use_causal_mask, return_attention_scores
    )
    y = _apart(y, axes, (*query.shape[:-1], math.prod(out)))
    y = y.reshape(*y.shape[:-1], *out)
    run.out_mask = run.masks.get(0)
    if not return_attention_scores:
        return y
    return y, scores.reshape(*scores.shape[:-2], *lengths[0], *lengths[1])


def _grouped(
    run: Run,
    query: Array,
    value: Array,
    key: Array | None = None,
    attention_mask: Array | None = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
) -> Any:
    o = run.options
    size = o["head_dim"]
    sizes = _Sizes(
        o["num_query_heads"],
        o["num_key_value_heads"],
        size,
        size,
        query.shape[-1:],
    )
    if sizes.heads % sizes.groups:
        raise ValueError(
            f"num_query_heads={sizes.heads} must be divisible by "
            f"num_key_value_heads={sizes.groups}"
        )
    allowed = _allowed(run, attention_mask, use_causal_mask, 1)
    y, scores = _attend(
        run,
        query,
        value if key is None else key,
        value,
        sizes,
        _beside(allowed, 0),
        use_causal_mask,
        return_attention_scores,
    )
    run.out_mask = run.masks.get(0)
    return (y, scores) if return_attention_scores else y


def _attend(
    run: Run,
    query: Array,
    key: Array,
    value: Array,
    sizes: _Sizes,
    mask: Array | None,
    causal: bool,
    wants_scores: bool,
) -> tuple[Array, Any]:
    o = run.options
    params: dict[str, dict[str, Array]] = {}
    for name, x, heads, size in (
        ("query", query, sizes.heads, sizes.key),
        ("key", key, sizes.groups, sizes.key),
        ("value", value, sizes.groups, sizes.value),
    ):
        params[name] = _projection(run, name, (x.shape[-1],), (heads, size))
        # Query heads in a group share their keys and values.
        shared = sizes.heads // heads
        if shared > 1:
            params[name] = {
                part: jnp.repeat(w, shared, axis=-2) for part, w in params[name].items()
            }
    heads = (sizes.heads, sizes.value)
    out = _projection(run, "out", heads, sizes.out)
    width = math.prod(sizes.out)
    flat = lambda w: w.reshape(*w.shape[: -len(sizes.out)], width)
    out = {part: flat(w) for part, w in out.items()}
    params["out"], gate = out, None
    if o["use_gate"]:  # return the heads unchanged, to gate them before projecting
        gate = jax.nn.sigmoid(_gate(run, query, heads))
        width = math.prod(heads)
        same = jnp.eye(width, dtype=gate.dtype).reshape(*heads, width)
        params["out"] = {"kernel": same}
        if o["use_bias"]:
            params["out"]["bias"] = jnp.zeros((width,), gate.dtype)
    window = o["sliding_window"]
    if window is not None:
        rows, columns = jnp.arange(query.shape[-2]), jnp.arange(key.shape[-2])
        near = abs(rows[:, None] - columns[None]) < window
        near = jnp.broadcast_to(near, (*query.shape[:-2], *near.shape))
        mask = near if mask is None else jnp.logical_and(mask, near)
    layer = nn.MultiHeadAttention(
        num_heads=sizes.heads,
        key_size=sizes.key,
        value_size=sizes.value,
        out_features=width,
        dropout_rate=o["dropout"],
        use_bias=o["use_bias"],
    )
    given = query, key, value
    options: dict[str, Any] = {"mask": mask, "causal": causal, "train": run.train}
    if run.train and o["dropout"]:
        options["rngs"] = {"dropout": run.key()}
    variables = {"params": params}
    kept: Any = ["intermediates"] if wants_scores else []
    y, sown = layer.apply(variables, *given, mutable=kept, **options)
    if gate is not None:
        y = jnp.einsum("...hv,hvo->...o", y.reshape(gate.shape) * gate, out["kernel"])
        y = y + jnp.broadcast_to(out.get("bias", jnp.zeros(y.shape[-1])), y.shape)
    return y, sown["intermediates"]["weights"][0] if wants_scores else None


def _gate(run: Run, query: Array, heads: tuple[int, int]) -> Array:
    gate = _projection(run, "gate", (query.shape[-1],), heads)
    y = jnp.einsum("...d,dhv->...hv", query, gate["kernel"])
    return y + jnp.broadcast_to(gate["bias"], y.shape) if "bias" in gate else y


def _projection(
    run: Run, name: str, shape_in: tuple[int, ...], shape_out: tuple[int, ...]
) -> dict[str, Array]:
    at = "output_dense" if name == "out" else f"{name}_dense"
    if "head_dim" in run.options or name == "gate":
        at = f"_{at}"  # Keras' names for these
    fans = math.prod(shape_in), math.prod(shape_out)
    kernel = run.weight(
        f"{name}_kernel", (*shape_in, *shape_out), "kernel", at=at, fans=fans
    )
    if not run.options["use_bias"]:
        return {"kernel": kernel}
    return {
        "kernel": kernel,
        "bias": run.weight(f"{name}_bias", shape_out, "bias", at=at),
    }


def _allowed(run: Run, given: Array | None, causal: bool, axes: int) -> Array | None:
    """Combine masks of steps with the mask of pairs: `(batch, query, key)`."""
    mask = None if given is None else given.astype(bool)
    pairs = [(0, -1), (1, -2), (2, -2), ("value", -2), ("key", -2)]
    for argument, axis in pairs:
        steps = run.masks.get(argument)
        if steps is None:
            continue
        if axes > 1:
            raise ValueError("masks of several axes are not supported")
        steps = jnp.expand_dims(steps.astype(bool), axis)
        mask = steps if mask is None else jnp.logical_and(mask, steps)
    return mask


def _beside(mask: Array | None, free: int) -> Array | None:
    """Insert axes for those that are not attended over, after the batch axis."""
    if mask is None:
        return None
    if mask.ndim > 3:  # a mask for each head
        return mask
    return mask.reshape(mask.shape[0], *(1,) * free, *mask.shape[1:])


def _join(x: Array, axes: list[int]) -> Array:
    """Merge the axes that are attended over into one, the last but one."""
    free = [axis for axis in range(x.ndim - 1) if axis not in axes]
    x = jnp.transpose(x, (*free, *axes, x.ndim - 1))
    length = math.prod(x.shape[len(free) : -1])
    return x.reshape(*x.shape[: len(free)], length, x.shape[-1])


def _apart(y: Array, axes: list[int], shape: tuple[int, ...]) -> Array:
    """Undo `_join`."""
    free = [axis for axis in range(len(shape) - 1) if axis not in axes]
    order = (*free, *axes, len(shape) - 1)
    y = y.reshape([shape[axis] for axis in order])
    return jnp.transpose(y, [order.index(axis) for axis in range(len(shape))])


_CALL = ("key", "attention_mask", "return_attention_scores", "use_causal_mask", "value")
_COMMON = {
    "use_bias": BIAS["use_bias"],
    "dropout": Option(number(0, 1), 0.0),
    "use_gate": Option(flag, False),
    "sliding_window": Option(optional(whole()), None),
    **KERNEL,
    **{key: each for key, each in BIAS.items() if key != "use_bias"},
    "seed": SEED,
    "flash_attention": Option(anything, None),
}

LAYERS = {
    "MultiHeadAttention": Entry(
        _multi_head,
        {
            "num_heads": Option(whole()),
            "key_dim": Option(whole()),
            "value_dim": Option(optional(whole()), None),
            "output_shape": Option(optional(several(whole())), None),
            "attention_axes": Option(optional(several(whole(-8))), None),
            **_COMMON,
        },
        kwargs=_CALL,
        takes_masks=True,
    ),
    "GroupedQueryAttention": Entry(
        _grouped,
        {
            "head_dim": Option(whole()),
            "num_query_heads": Option(whole()),
            "num_key_value_heads": Option(whole()),
            **_COMMON,
        },
        kwargs=_CALL,
    ),
}

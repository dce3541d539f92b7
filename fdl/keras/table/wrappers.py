"""Layers that wrap other layers: Bidirectional, TimeDistributed and the like."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fdl.arrays import Array
from fdl.keras.graph.description import Layer, with_options
from fdl.keras.table.core import unit_length
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.options import (
    MOST_REPEATED,
    Option,
    choice,
    either,
    layer,
    optional,
    whole,
)
from fdl.keras.table.regularizers import SPECTRAL


def _bidirectional(run: Run, x: Array, initial_state: Any = None) -> Any:
    o = run.options
    ahead, back = o["layer"], o["backward_layer"]
    if back is None:
        turned = not ahead.options["go_backwards"]
        options = with_options(ahead.options, go_backwards=turned)
        name = f"backward_{ahead.name}"
        back = dataclasses.replace(ahead, name=name, options=options)
    # As Keras sets it in both directions.
    zero = {"zero_output_for_mask": ahead.options["return_sequences"]}
    ahead, back = (
        dataclasses.replace(each, options=with_options(each.options, **zero))
        for each in (ahead, back)
    )
    mask, half = run.mask, None
    given: list[dict[str, Any]] = [{}, {}]
    if initial_state is not None:
        half = len(initial_state) // 2
        parts = initial_state[:half], initial_state[half:]
        given = [{"initial_state": part} for part in parts]
    ys = [
        run.part(name, one, f"{name}_layer")(x, mask=run.passed, **states)
        for name, one, states in zip(
            ("forward", "backward"), (ahead, back), given, strict=True
        )
    ]
    states: tuple[Any, ...] = ()
    if ahead.options["return_state"]:
        states = (*ys[0][1:], *ys[1][1:])
        ys = [y[0] for y in ys]
    whole_sequence = ahead.options["return_sequences"]
    a, b = ys[0], jnp.flip(ys[1], 1) if whole_sequence else ys[1]
    match o["merge_mode"]:
        case "concat":
            merged = (jnp.concatenate([a, b], axis=-1),)
        case "sum":
            merged = (a + b,)
        case "mul":
            merged = (a * b,)
        case "ave":
            merged = ((a + b) / 2,)
        case _:
            merged = (a, b)
    out_mask: Any = mask if whole_sequence else None
    masks: list[Any] = [out_mask] * len(merged) + [None] * len(states)
    outputs: list[Any] = [*merged, *states]
    run.out_mask = tuple(masks) if len(outputs) > 1 else out_mask
    return tuple(outputs) if len(outputs) > 1 else outputs[0]


def _time_distributed(run: Run, x: Array) -> Array:
    batch, time = x.shape[:2]
    inner, mask = run.options["layer"], run.mask
    part = run.part("layer", inner, "layer")
    if run.train and _takes_statistics(inner):
        # Keras calls the layer on each step, which updates the statistics each time.
        masks = [None if mask is None else mask[:, i] for i in range(time)]
        steps = [part(x[:, i], mask=masks[i], counts=False) for i in range(time)]
        return jnp.stack(steps, axis=1)
    if mask is not None and mask.ndim > 2:
        mask = mask.reshape(batch * time, *mask.shape[2:])
    else:
        mask = None
    y = part(x.reshape(batch * time, *x.shape[2:]), mask=mask, counts=False)
    return y.reshape(batch, time, *y.shape[1:])


def _spectral(run: Run, x: Array) -> Array:
    """Divide a kernel by its spectral norm in training (Miyato et al., 2018)."""
    inner, rounds = run.options["layer"], run.options["power_iterations"]
    names = {"kernel": "kernel", "embedding": "embeddings"}
    limits = {f"{each}_constraint": SPECTRAL for each in names.values()}
    limits = {key: each for key, each in limits.items() if key in inner.options}
    if not limits:
        raise ValueError(f"{inner} has no kernel to normalize")
    if any(inner.options[key] for key in limits):
        raise ValueError(f"{inner} has a constraint in addition to the normalization")
    inner = dataclasses.replace(inner, options=with_options(inner.options, **limits))

    def normalized(name: str, w: Array) -> Array:
        if name not in names:
            return w
        run.stored_again(f"layer/{name}", w.shape)
        shape = (1, w.shape[-1])
        u = old = run.weight("vector_u", shape, drawn=_small, trained=False)
        if not run.train:
            return w
        flat = w.reshape(-1, w.shape[-1])
        v = jnp.zeros((1, len(flat)), w.dtype)
        for _ in range(rounds):
            v = unit_length(u @ flat.T, None)
            u = unit_length(v @ flat, None)
        norm = v @ flat @ u.T
        u, norm = (jnp.where(jnp.any(w != 0), *each) for each in ((u, old), (norm, 1)))
        run.update("vector_u", lax.stop_gradient(u))
        # Keras assigns the normalized kernel before it calls the layer, so the gradient
        # is that of the normalized kernel.
        return w + lax.stop_gradient(w / jnp.broadcast_to(norm, w.shape) - w)

    return run.part("layer", inner, "layer", normalized)(x, counts=False)


def _small(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    return 0.02 * jax.random.truncated_normal(key, -2, 2, shape, dtype)


def _takes_statistics(one: Layer) -> bool:
    """Return whether a layer computes statistics over the examples of a batch."""
    parts = one.graph.layers if one.graph else ()
    return one.kind == "BatchNormalization" or any(map(_takes_statistics, parts))


LAYERS = {
    "Bidirectional": Entry(
        _bidirectional,
        {
            "layer": Option(layer),
            "backward_layer": Option(optional(layer), None),
            "merge_mode": Option(
                either(choice(None), choice("concat", "sum", "mul", "ave")), "concat"
            ),
        },
        kwargs=("initial_state",),
    ),
    "TimeDistributed": Entry(
        _time_distributed, {"layer": Option(layer)}, keeps_mask=True
    ),
    "SpectralNormalization": Entry(
        _spectral,
        {
            "layer": Option(layer),
            "power_iterations": Option(whole(high=MOST_REPEATED), 1),
        },
        level="Keras stores the normalized kernel at each call in training; in fdl, "
        "`model.constraints` normalizes it after each update",
    ),
}

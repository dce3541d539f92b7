"""Layers around other layers: in both directions, or at every step."""

import dataclasses
from typing import Any

import jax.numpy as jnp

from fdl.arrays import Array
from fdl.keras.graph.description import Layer, with_options
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.options import Option, choice, either, layer, optional


def _bidirectional(run: Run, x: Array, initial_state: Any = None) -> Any:
    o = run.options
    ahead, back = o["layer"], o["backward_layer"]
    if back is None:
        turned = not ahead.options["go_backwards"]
        options = with_options(ahead.options, go_backwards=turned)
        name = f"backward_{ahead.name}"
        back = dataclasses.replace(ahead, name=name, options=options)
    # As Keras does in both directions.
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
        # Keras goes step by step, and each step updates the statistics.
        masks = [None if mask is None else mask[:, i] for i in range(time)]
        steps = [part(x[:, i], mask=masks[i], counts=False) for i in range(time)]
        return jnp.stack(steps, axis=1)
    if mask is not None and mask.ndim > 2:
        mask = mask.reshape(batch * time, *mask.shape[2:])
    else:
        mask = None
    y = part(x.reshape(batch * time, *x.shape[2:]), mask=mask, counts=False)
    return y.reshape(batch, time, *y.shape[1:])


def _takes_statistics(one: Layer) -> bool:
    """Whether what a layer makes of an example depends on the others of its batch."""
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
}

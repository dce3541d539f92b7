"""Recurrent layers, their cells, and what wraps them."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fdl import ops
from fdl.arrays import Array
from fdl.keras.graph.description import Layer, Options, with_options
from fdl.keras.table.activations import activate
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.initializers import draw
from fdl.keras.table.options import (
    BIAS,
    KERNEL,
    SEED,
    Option,
    activation,
    anything,
    choice,
    either,
    flag,
    layer,
    number,
    optional,
    several,
    weight,
    whole,
)

Weights = tuple[Any, ...]  # arrays
Step = Callable[[Array, Weights], tuple[Array, Weights]]

_GATES = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}


def _cell_weights(run: Run, kind: str, width: int, at: str) -> Weights:
    """Return kernel, recurrent kernel and bias, zero if there is none."""
    o = run.options
    units, gates = o["units"], _GATES[kind]
    kernel = run.weight("kernel", (width, gates * units), at=at)
    recurrent = run.weight(
        "recurrent_kernel", (units, gates * units), "recurrent", at=at
    )
    shape = (2, gates * units) if o.get("reset_after") else (gates * units,)
    if not o["use_bias"]:
        return kernel, recurrent, jnp.zeros(shape, kernel.dtype)

    def forget_less(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        other = draw(o["bias_initializer"], None)(key, (3 * units,), dtype)
        one = jnp.ones((units,), dtype)
        return jnp.concatenate([other[:units], one, other[units:]])

    drawn = forget_less if o.get("unit_forget_bias") else None
    return kernel, recurrent, run.weight("bias", shape, at=at, drawn=drawn)


def _step(kind: str, o: Options, weights: Weights) -> Step:
    """Return a step of a cell: from input and states to output and states."""
    kernel, recurrent, bias = weights
    inner = lambda x: activate(o["activation"], x)
    gate = lambda x: activate(o["recurrent_activation"], x)

    def add(x: Array, b: Array) -> Array:
        return x + jnp.broadcast_to(b, x.shape)

    def simple(x: Array, states: Weights, h: Array) -> tuple[Array, Weights]:
        y = inner(add(x @ kernel, bias) + h @ recurrent)
        return y, (y,)

    def lstm(x: Array, states: Weights, h: Array) -> tuple[Array, Weights]:
        z = add(x @ kernel + h @ recurrent, bias)
        i, f, c, out = jnp.split(z, 4, axis=-1)
        c = gate(f) * states[1] + gate(i) * inner(c)
        h = gate(out) * inner(c)
        return h, (h, c)

    def gru(x: Array, states: Weights, h: Array) -> tuple[Array, Weights]:
        after = o["reset_after"]
        x_z, x_r, x_h = jnp.split(add(x @ kernel, bias[0] if after else bias), 3, -1)
        u_z, u_r, u_h = jnp.split(recurrent, 3, axis=-1)
        b_z, b_r, b_h = jnp.split(bias[1] if after else jnp.zeros_like(bias), 3)
        z, r = gate(x_z + add(h @ u_z, b_z)), gate(x_r + add(h @ u_r, b_r))
        middle = r * add(h @ u_h, b_h) if after else (r * h) @ u_h
        h = z * states[0] + (1 - z) * inner(x_h + middle)
        return h, (h,)

    advance = {"SimpleRNN": simple, "LSTM": lstm, "GRU": gru}[kind]
    drops = o.get("_drops", (None, None))

    def step(x: Array, states: Weights) -> tuple[Array, Weights]:
        x = x if drops[0] is None else x * drops[0]
        h = states[0] if drops[1] is None else states[0] * drops[1]
        return advance(x, states, h)

    return step


def _dropped(run: Run, o: Options, x: Array) -> Options:
    """Add what dropout multiplies inputs and states with, one draw a sequence."""
    drops = []
    shapes = (x.shape[:-1], x.shape[-1]), (x.shape[:-1], o["units"])
    for name, (rows, width) in zip(
        ("dropout", "recurrent_dropout"), shapes, strict=True
    ):
        rate = o[name]
        if not run.train or rate == 0:
            drops.append(None)
            continue
        kept = jax.random.bernoulli(run.key(), 1 - rate, (*rows, width))
        drops.append(kept.astype(x.dtype) / (1 - rate))
    return with_options(o, _drops=tuple(drops))


def _loop(
    step: Step, x: Array, states: Weights, mask: Array | None, zero_output: bool
) -> tuple[Array, Weights]:
    """Run a step over a sequence; masked steps keep the state and the last output."""
    start, _ = jax.eval_shape(step, x[:, 0], states)

    def advance(carry: Any, now: Any) -> Any:
        states, last = carry
        x, real = now
        y, new = step(x, states)
        if real is not None:
            keep = lambda a, b: jnp.where(
                jnp.broadcast_to(real[:, None], a.shape), a, b
            )
            new = tuple(keep(a, b) for a, b in zip(new, states, strict=True))
            y = keep(y, jnp.zeros_like(y) if zero_output else last)
        return (new, y), y

    first = jnp.zeros(start.shape, start.dtype)
    steps = (jnp.moveaxis(x, 1, 0), None if mask is None else mask.T)
    (states, _), ys = lax.scan(advance, (states, first), steps)
    return jnp.moveaxis(ys, 0, 1), states


def _fast(
    kind: str, o: Options, weights: Weights, x: Array, states: Weights, mask: Any
) -> tuple[Array, Weights] | None:
    """Run a cell as `fdl.ops` does it, if that computes the same."""
    usual = o["activation"] == "tanh" and o.get("recurrent_activation") in (
        None,
        "sigmoid",
    )
    zeros = mask is not None and o["zero_output_for_mask"]
    if not usual or zeros or any(each is not None for each in o["_drops"]):
        return None
    kernel, recurrent, bias = weights
    match kind:
        case "SimpleRNN":
            found = ops.simple_rnn(x, kernel, recurrent, bias, states[0], mask=mask)
            return found.outputs, (found.state,)
        case "LSTM":
            state = ops.LSTMState(*states)
            found = ops.lstm(x, kernel, recurrent, bias, state, mask=mask)
            return found.outputs, tuple(found.state)
    after = o["reset_after"]
    found = ops.gru(x, kernel, recurrent, bias, states[0], reset_after=after, mask=mask)
    return found.outputs, (found.state,)


def _recurrent(kind: str) -> Callable[..., Any]:
    def run_layer(run: Run, x: Array, initial_state: Any = None) -> Any:
        o, count = run.options, 2 if kind == "LSTM" else 1
        weights = _cell_weights(run, kind, x.shape[-1], "cell")
        dtype = jnp.result_type(x, weights[0])
        x, weights = x.astype(dtype), tuple(w.astype(dtype) for w in weights)
        states = _start(x, [o["units"]] * count, initial_state)
        o = _dropped(run, o, x[:, 0])
        x, mask = _turned(o, x, run.mask)
        found = _fast(kind, o, weights, x, states, mask)
        if found is None:
            step = _step(kind, o, weights)
            found = _loop(step, x, states, mask, o["zero_output_for_mask"])
        return _result(run, *found)

    return run_layer


def _turned(o: Options, x: Array, mask: Any) -> tuple[Array, Any]:
    mask = mask[0] if isinstance(mask, tuple) else mask
    if not o["go_backwards"]:
        return x, mask
    return jnp.flip(x, 1), None if mask is None else jnp.flip(mask, 1)


def _start(x: Array, sizes: Sequence[int], given: Any) -> Weights:
    if given is None:
        return tuple(jnp.zeros((x.shape[0], size), x.dtype) for size in sizes)
    given = given if isinstance(given, tuple | list) else (given,)
    return tuple(each.astype(x.dtype) for each in _flat(given))


def _flat(states: Any) -> list[Array]:
    found: list[Array] = []
    for each in states:
        found.extend(_flat(each) if isinstance(each, tuple | list) else [each])
    return found


def _result(run: Run, outputs: Array, states: Any) -> Any:
    o = run.options
    y = outputs if o["return_sequences"] else outputs[:, -1]
    mask: Any = run.mask
    mask = mask[0] if isinstance(mask, tuple) else mask
    mask = mask if o["return_sequences"] else None
    if not o["return_state"]:
        run.out_mask = mask
        return y
    run.out_mask = (mask, *(None,) * len(states))
    return (y, *states)


def _cell(kind: str) -> Callable[..., Weights]:
    """A cell on its own only has weights; `RNN` runs it."""

    def run_cell(run: Run, x: Array) -> Weights:
        return _cell_weights(run, kind, x.shape[-1], "")

    return run_cell


def _rnn(run: Run, x: Array, initial_state: Any = None) -> Any:
    o, cell = run.options, run.options["cell"]
    stacked = cell.kind == "StackedRNNCells"
    cells = cell.options["cells"] if stacked else (cell,)
    steps, sizes, width, counts = [], [], x.shape[-1], {}
    for one in cells:
        kind = one.kind.removesuffix("Cell")
        if kind not in _GATES:
            raise ValueError(f"a cell {one} is not supported")
        at = "cell"
        if stacked:
            key = {"SimpleRNN": "simple_rnn", "LSTM": "lstm", "GRU": "gru"}[kind]
            number = counts.get(key, 0)
            counts[key] = number + 1
            at = f"cell/cells/{key}_cell" + (f"_{number}" if number else "")
        rows = jnp.zeros((x.shape[0], width), x.dtype)
        weights = run.part(one.name if stacked else "cell", one, at)(rows)
        steps.append(_step(kind, _dropped(run, one.options, rows), weights))
        width = one.options["units"]
        sizes.append([width] * (2 if kind == "LSTM" else 1))

    def step(x: Array, states: Weights) -> tuple[Array, Weights]:
        new: list[Array] = []
        for advance, own in zip(steps, sizes, strict=True):
            x, made = advance(x, states[len(new) : len(new) + len(own)])
            new.extend(made)
        return x, tuple(new)

    states = _start(x, [size for own in sizes for size in own], initial_state)
    x, mask = _turned(o, x, run.mask)
    outputs, states = _loop(step, x, states, mask, o["zero_output_for_mask"])
    if stacked and len(cells) > 1:  # Keras returns the states of each cell together
        rest = list(states)
        groups = [[rest.pop(0) for _ in own] for own in sizes]
        nested = [tuple(each) if len(each) > 1 else each[0] for each in groups]
        return _result(run, outputs, tuple(nested))
    return _result(run, outputs, states)


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
        run.part(name, one, f"{name}_layer")(x, mask=mask, **states)
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


_RECURRENT_WEIGHT = weight("recurrent", "Orthogonal")
_CELL = {
    "units": Option(whole()),
    "activation": Option(activation, "tanh"),
    **KERNEL,
    **_RECURRENT_WEIGHT,
    **BIAS,
    "dropout": Option(number(0, 1 - 1e-7), 0.0),
    "recurrent_dropout": Option(number(0, 1 - 1e-7), 0.0),
    "seed": SEED,
    "implementation": Option(anything, 2),
}
_GATE = {"recurrent_activation": Option(activation, "sigmoid")}
_LSTM = {**_CELL, **_GATE, "unit_forget_bias": Option(flag, True)}
_GRU = {**_CELL, **_GATE, "reset_after": Option(flag, True)}
_LAYER = {
    "return_sequences": Option(flag, False),
    "return_state": Option(flag, False),
    "go_backwards": Option(flag, False),
    "stateful": Option(choice(False), False),
    "unroll": Option(anything, False),
    "zero_output_for_mask": Option(flag, False),
    "time_major": Option(choice(False), False),
    "use_cudnn": Option(anything, None),
}


def _entry(kind: str, options: dict[str, Option]) -> Entry:
    return Entry(_recurrent(kind), {**_LAYER, **options}, kwargs=("initial_state",))


LAYERS = {
    "SimpleRNN": _entry("SimpleRNN", _CELL),
    "LSTM": _entry("LSTM", _LSTM),
    "GRU": _entry("GRU", _GRU),
    "SimpleRNNCell": Entry(_cell("SimpleRNN"), _CELL),
    "LSTMCell": Entry(_cell("LSTM"), _LSTM),
    "GRUCell": Entry(_cell("GRU"), _GRU),
    "StackedRNNCells": Entry(_cell(""), {"cells": Option(several(layer))}),
    "RNN": Entry(_rnn, {**_LAYER, "cell": Option(layer)}, kwargs=("initial_state",)),
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

"""Cells of recurrent layers: their weights and their steps."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fdl.arrays import Array
from fdl.keras.graph.description import Options, with_options
from fdl.keras.table.activations import activate
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.initializers import draw
from fdl.keras.table.options import (
    BIAS,
    KERNEL,
    SEED,
    Option,
    activation,
    flag,
    layer,
    number,
    several,
    weight,
    whole,
)
from fdl.nn.initializers import forget_less

Weights = tuple[Any, ...]  # arrays
Step = Callable[[Array, Weights], tuple[Array, Weights]]

GATES = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}


def cell_weights(run: Run, kind: str, width: int, at: str) -> Weights:
    """Return kernel, recurrent kernel and bias, which is zeros if there is none."""
    o = run.options
    units, gates = o["units"], GATES[kind]
    kernel = run.weight("kernel", (width, gates * units), at=at)
    recurrent = run.weight(
        "recurrent_kernel", (units, gates * units), "recurrent", at=at
    )
    shape = (2, gates * units) if o.get("reset_after") else (gates * units,)
    if not o["use_bias"]:
        return kernel, recurrent, jnp.zeros(shape, kernel.dtype)

    others = draw(o["bias_initializer"], None)
    drawn = forget_less(others) if o.get("unit_forget_bias") else None
    return kernel, recurrent, run.weight("bias", shape, at=at, drawn=drawn)


def step_of(kind: str, o: Options, weights: Weights) -> Step:
    """Return the step of a cell: `(input, states) -> (output, states)`."""
    kernel, recurrent, bias = weights
    inner = lambda x: activate(o["activation"], x)
    gate = lambda x: activate(o["recurrent_activation"], x)

    def add(x: Array, b: Array) -> Array:
        return x + jnp.broadcast_to(b, x.shape)

    def product(x: Array, w: Array, drops: Any) -> Array:
        if drops is None:
            return x @ w
        if len(drops) == 1:
            return (x * drops[0]) @ w
        parts = jnp.split(w, len(drops), axis=-1)
        each = [(x * drop) @ part for drop, part in zip(drops, parts, strict=True)]
        return jnp.concatenate(each, axis=-1)

    drops, more_drops = o.get("_drops", (None, None))

    def simple(x: Array, states: Weights) -> tuple[Array, Weights]:
        y = add(product(x, kernel, drops), bias)
        y = inner(y + product(states[0], recurrent, more_drops))
        return y, (y,)

    def lstm(x: Array, states: Weights) -> tuple[Array, Weights]:
        z = product(x, kernel, drops) + product(states[0], recurrent, more_drops)
        i, f, c, out = jnp.split(add(z, bias), 4, axis=-1)
        c = gate(f) * states[1] + gate(i) * inner(c)
        h = gate(out) * inner(c)
        return h, (h, c)

    def gru(x: Array, states: Weights) -> tuple[Array, Weights]:
        after, h = o["reset_after"], states[0]
        y = add(product(x, kernel, drops), bias[0] if after else bias)
        x_z, x_r, x_h = jnp.split(y, 3, axis=-1)
        if after:
            y = add(product(h, recurrent, more_drops), bias[1])
            h_z, h_r, middle = jnp.split(y, 3, axis=-1)
            r = gate(x_r + h_r)
            middle = r * middle
        else:
            u_z, u_r, u_h = jnp.split(recurrent, 3, axis=-1)
            h_z, h_r, h_h = (h * drop for drop in more_drops or (1.0,) * 3)
            h_z, r = h_z @ u_z, gate(x_r + h_r @ u_r)
            middle = (r * h_h) @ u_h
        z = gate(x_z + h_z)
        h = z * h + (1 - z) * inner(x_h + middle)
        return h, (h,)

    return {"SimpleRNN": simple, "LSTM": lstm, "GRU": gru}[kind]


def dropped(run: Run, kind: str, o: Options, x: Array) -> Options:
    """Add the dropout factors of inputs and states, drawn once per sequence.

    Keras draws once for all gates, but separately for each if it also drops states.
    """
    gates = o["recurrent_dropout"] > 0 or o["implementation"] == 1
    count = GATES[kind] if gates else 1
    drops = []
    for name, width in (("dropout", x.shape[-1]), ("recurrent_dropout", o["units"])):
        rate = o[name]
        if not run.train or rate == 0:
            drops.append(None)
            continue
        shape = (count, *x.shape[:-1], width)
        kept = jax.random.bernoulli(run.key(), 1 - rate, shape)
        drops.append(tuple(kept.astype(x.dtype) / (1 - rate)))
    return with_options(o, _drops=tuple(drops))


def _cell(kind: str) -> Callable[..., Weights]:
    """Return the computation of a bare cell: its weights, since `RNN` runs it."""

    def run_cell(run: Run, x: Array) -> Weights:
        return cell_weights(run, kind, x.shape[-1], "")

    return run_cell


_RECURRENT_WEIGHT = weight("recurrent", "Orthogonal")
CELL = {
    "units": Option(whole()),
    "activation": Option(activation, "tanh"),
    **KERNEL,
    **_RECURRENT_WEIGHT,
    **BIAS,
    "dropout": Option(number(0, 1 - 1e-7), 0.0),
    "recurrent_dropout": Option(number(0, 1 - 1e-7), 0.0),
    "seed": SEED,
    "implementation": Option(lambda value: 1 if value == 1 else None, 2),
}
_GATE = {"recurrent_activation": Option(activation, "sigmoid")}
LSTM = {**CELL, **_GATE, "unit_forget_bias": Option(flag, True)}
GRU = {**CELL, **_GATE, "reset_after": Option(flag, True)}

LAYERS = {
    "SimpleRNNCell": Entry(_cell("SimpleRNN"), CELL),
    "LSTMCell": Entry(_cell("LSTM"), LSTM),
    "GRUCell": Entry(_cell("GRU"), GRU),
    "StackedRNNCells": Entry(_cell(""), {"cells": Option(several(layer))}),
}

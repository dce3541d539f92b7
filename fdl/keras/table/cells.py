"""Cells of recurrent layers: their weights, and what they do in one step."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from fdl.arrays import Array
from fdl.keras.graph.description import Options, with_options
from fdl.keras.table.activations import activate
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.initializers import Draw, draw
from fdl.keras.table.options import (
    BIAS,
    KERNEL,
    SEED,
    Option,
    activation,
    anything,
    flag,
    layer,
    number,
    several,
    weight,
    whole,
)

Weights = tuple[Any, ...]  # arrays
Step = Callable[[Array, Weights], tuple[Array, Weights]]

GATES = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}


def cell_weights(run: Run, kind: str, width: int, at: str) -> Weights:
    """Return kernel, recurrent kernel and bias, zero if there is none."""
    o = run.options
    units, gates = o["units"], GATES[kind]
    kernel = run.weight("kernel", (width, gates * units), at=at)
    recurrent = run.weight(
        "recurrent_kernel", (units, gates * units), "recurrent", at=at
    )
    shape = (2, gates * units) if o.get("reset_after") else (gates * units,)
    if not o["use_bias"]:
        return kernel, recurrent, jnp.zeros(shape, kernel.dtype)

    drawn = forget_less(o) if o.get("unit_forget_bias") else None
    return kernel, recurrent, run.weight("bias", shape, at=at, drawn=drawn)


def forget_less(options: Options) -> Draw:
    """Return what draws the bias of an LSTM, with ones for the forget gates."""

    def drawn(key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        units = shape[0] // 4
        other = draw(options["bias_initializer"], None)(key, (3 * units,), dtype)
        one = jnp.ones((units,), dtype)
        return jnp.concatenate([other[:units], one, other[units:]])

    return drawn


def step_of(kind: str, o: Options, weights: Weights) -> Step:
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


def dropped(run: Run, o: Options, x: Array) -> Options:
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


def _cell(kind: str) -> Callable[..., Weights]:
    """A cell on its own only has weights; `RNN` runs it."""

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
    "implementation": Option(anything, 2),
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

"""Recurrent layers: SimpleRNN, LSTM, GRU, and RNN for other cells."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from fdl import ops
from fdl.arrays import Array
from fdl.keras.graph.description import Options
from fdl.keras.table.cells import (
    CELL,
    GATES,
    GRU,
    LSTM,
    Step,
    Weights,
    cell_weights,
    dropped,
    step_of,
)
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.options import Option, anything, choice, flag, layer


def loop(
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
                real.reshape(-1, *(1,) * (a.ndim - 1)) & jnp.full(a.shape, True), a, b
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
    """Run a cell with `fdl.ops`, or return None if that would not compute the same."""
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
        weights = cell_weights(run, kind, x.shape[-1], "cell")
        dtype = jnp.result_type(x, weights[0])
        x, weights = x.astype(dtype), tuple(w.astype(dtype) for w in weights)
        states = _start(x, [o["units"]] * count, initial_state)
        o = dropped(run, kind, o, x[:, 0])
        x, mask = turned(o, x, run.passed)
        found = _fast(kind, o, weights, x, states, mask)
        if found is None:
            step = step_of(kind, o, weights)
            found = loop(step, x, states, mask, o["zero_output_for_mask"])
        return result_of(run, *found)

    return run_layer


def turned(o: Options, x: Array, mask: Any) -> tuple[Array, Any]:
    """Reverse a sequence and its mask, if the layer goes backwards."""
    mask = mask[0] if isinstance(mask, tuple) else mask
    if not o["go_backwards"]:
        return x, mask
    return jnp.flip(x, 1), None if mask is None else jnp.flip(mask, 1)


def _start(x: Array, sizes: Sequence[int], given: Any) -> Weights:
    if given is None:
        return tuple(jnp.zeros((x.shape[0], size), x.dtype) for size in sizes)
    given = given if isinstance(given, tuple | list) else (given,)
    return tuple(each.astype(x.dtype) for each in flat(given))


def flat(states: Any) -> list[Array]:
    """Flatten nested lists of states."""
    found: list[Array] = []
    for each in states:
        found.extend(flat(each) if isinstance(each, tuple | list) else [each])
    return found


def result_of(run: Run, outputs: Array, states: Any) -> Any:
    """Return the outputs and states that the options select, and set their masks."""
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


def _rnn(run: Run, x: Array, initial_state: Any = None) -> Any:
    o, cell = run.options, run.options["cell"]
    stacked = cell.kind == "StackedRNNCells"
    cells = cell.options["cells"] if stacked else (cell,)
    steps, sizes, width, counts = [], [], x.shape[-1], {}
    for one in cells:
        kind = one.kind.removesuffix("Cell")
        if kind not in GATES:
            raise ValueError(f"the cell {one} is not supported")
        at = "cell"
        if stacked:
            key = {"SimpleRNN": "simple_rnn", "LSTM": "lstm", "GRU": "gru"}[kind]
            number = counts.get(key, 0)
            counts[key] = number + 1
            at = f"cell/cells/{key}_cell" + (f"_{number}" if number else "")
        rows = jnp.zeros((x.shape[0], width), x.dtype)
        weights = run.part(one.name if stacked else "cell", one, at)(rows)
        steps.append(step_of(kind, dropped(run, kind, one.options, rows), weights))
        width = one.options["units"]
        sizes.append([width] * (2 if kind == "LSTM" else 1))

    def step(x: Array, states: Weights) -> tuple[Array, Weights]:
        new: list[Array] = []
        for advance, own in zip(steps, sizes, strict=True):
            x, made = advance(x, states[len(new) : len(new) + len(own)])
            new.extend(made)
        return x, tuple(new)

    states = _start(x, [size for own in sizes for size in own], initial_state)
    x, mask = turned(o, x, run.passed)
    outputs, states = loop(step, x, states, mask, o["zero_output_for_mask"])
    if stacked and len(cells) > 1:  # Keras returns the states of each cell together
        rest = list(states)
        groups = [[rest.pop(0) for _ in own] for own in sizes]
        nested = [tuple(each) if len(each) > 1 else each[0] for each in groups]
        return result_of(run, outputs, tuple(nested))
    return result_of(run, outputs, states)


def _stateless(value: Any) -> bool:
    if value is not False:
        raise ValueError(
            "keeps states between calls, which a pure function cannot: build the model "
            "with initial_state= and return_state=True"
        )
    return False


LAYER = {
    "return_sequences": Option(flag, False),
    "return_state": Option(flag, False),
    "go_backwards": Option(flag, False),
    "stateful": Option(_stateless, False),
    "unroll": Option(anything, False),
    "zero_output_for_mask": Option(flag, False),
    "time_major": Option(choice(False), False),
    "use_cudnn": Option(anything, None),
}


def _entry(kind: str, options: dict[str, Option]) -> Entry:
    return Entry(_recurrent(kind), {**LAYER, **options}, kwargs=("initial_state",))


LAYERS = {
    "SimpleRNN": _entry("SimpleRNN", CELL),
    "LSTM": _entry("LSTM", LSTM),
    "GRU": _entry("GRU", GRU),
    "RNN": Entry(_rnn, {**LAYER, "cell": Option(layer)}, kwargs=("initial_state",)),
}

"""Convolutional LSTMs, for sequences of images (Shi et al., 2015)."""

from typing import Any

import jax
import jax.numpy as jnp

from fdl.arrays import Array
from fdl.keras.table.activations import activate
from fdl.keras.table.cells import LSTM, Weights
from fdl.keras.table.convolution import convolve
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.initializers import draw
from fdl.keras.table.layout import DATA_FORMAT, is_first
from fdl.keras.table.options import Option, choice, several, whole
from fdl.keras.table.recurrent import LAYER, flat, loop, result_of, turned
from fdl.nn.initializers import forget_less


def _conv_lstm(run: Run, x: Array, initial_state: Any = None) -> Any:
    o, first = run.options, is_first(run)
    x = jnp.moveaxis(x, 2, -1) if first else x
    filters, window = o["filters"], o["kernel_size"]
    one = (1,) * len(window)
    kernel = run.weight("kernel", (*window, x.shape[-1], 4 * filters), at="cell")
    shape = (*window, filters, 4 * filters)
    recurrent = run.weight("recurrent_kernel", shape, "recurrent", at="cell")
    bias = jnp.zeros(4 * filters, kernel.dtype)
    if o["use_bias"]:
        others = draw(o["bias_initializer"], None)
        drawn = forget_less(others) if o["unit_forget_bias"] else None
        bias = run.weight("bias", bias.shape, at="cell", drawn=drawn)
    inner = lambda y: activate(o["activation"], y)
    gate = lambda y: activate(o["recurrent_activation"], y)

    def input_part(x: Array) -> Array:
        y = convolve(x, kernel, o["strides"], o["padding"], o["dilation_rate"], 1)
        return y + jnp.broadcast_to(bias, y.shape)

    if initial_state is None:
        sizes = jax.eval_shape(input_part, x[:, 0]).shape
        states = (jnp.zeros((*sizes[:-1], filters), x.dtype),) * 2
    else:
        states = tuple(flat(initial_state))
        states = tuple(jnp.moveaxis(s, 1, -1) if first else s for s in states)
    drops = [
        _drops(run, o[name], like)
        for name, like in (("dropout", x[:, 0]), ("recurrent_dropout", states[0]))
    ]

    def step(x: Array, states: Weights) -> tuple[Array, Weights]:
        h, c = states
        if drops[0] is None:
            parts = jnp.split(input_part(x), 4, axis=-1)
        else:  # a separate draw for each gate
            each = [input_part(x * drop) for drop in drops[0]]
            parts = [jnp.split(y, 4, axis=-1)[k] for k, y in enumerate(each)]
        hs = [h] * 4 if drops[1] is None else [h * drop for drop in drops[1]]
        kernels = jnp.split(recurrent, 4, axis=-1)
        i, f, g, out = (
            part + convolve(each, w, one, "same", one, 1)
            for part, each, w in zip(parts, hs, kernels, strict=True)
        )
        c = gate(f) * c + gate(i) * inner(g)
        h = gate(out) * inner(c)
        return h, (h, c)

    x, mask = turned(o, x, run.passed)
    ys, states = loop(step, x, states, mask, o["zero_output_for_mask"])
    if first:
        ys = jnp.moveaxis(ys, -1, 2)
        states = tuple(jnp.moveaxis(state, -1, 1) for state in states)
    return result_of(run, ys, states)


def _drops(run: Run, rate: float, like: Array) -> Any:
    if not run.train or rate == 0:
        return None
    kept = jax.random.bernoulli(run.key(), 1 - rate, (4, *like.shape))
    return tuple(kept.astype(like.dtype) / (1 - rate))


def _options(axes: int) -> dict[str, Option]:
    other = ("units", "implementation")
    cell = {key: each for key, each in LSTM.items() if key not in other}
    return {
        "filters": Option(whole()),
        "kernel_size": Option(several(whole(), axes)),
        "strides": Option(several(whole(), axes), 1),
        "padding": Option(choice("valid", "same"), "valid"),
        "dilation_rate": Option(several(whole(), axes), 1),
        **LAYER,
        **cell,
        **DATA_FORMAT,
    }


LAYERS = {
    f"ConvLSTM{axes}D": Entry(_conv_lstm, _options(axes), kwargs=("initial_state",))
    for axes in (1, 2, 3)
}

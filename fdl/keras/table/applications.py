"""Layers that `keras.applications` defines for its models."""

import jax
import jax.numpy as jnp
from flax.core import FrozenDict

from fdl.arrays import Array
from fdl.keras.table.entry import Entry, Run
from fdl.keras.table.initializers import draw
from fdl.keras.table.options import Option, number, whole


def _scaled_sum(run: Run, inputs: tuple[Array, Array]) -> Array:
    return inputs[0] + inputs[1] * run.options["scale"]


def _layer_scale(run: Run, x: Array) -> Array:
    o = run.options
    start = FrozenDict({"class_name": "Constant", "value": o["init_values"]})
    scale = run.weight("scale", (o["projection_dim"],), drawn=draw(start, None))
    return x * jnp.broadcast_to(scale, x.shape)


def _stochastic_depth(run: Run, x: Array) -> Array:
    rate = run.options["drop_path_rate"]
    if not run.train:
        return x
    kept = jax.random.bernoulli(
        run.key(), 1 - rate, (x.shape[0],) + (1,) * (x.ndim - 1)
    )
    return jnp.where(jnp.broadcast_to(kept, x.shape), x / (1 - rate), 0)


LAYERS = {
    "CustomScaleLayer": Entry(_scaled_sum, {"scale": Option(number())}),
    "LayerScale": Entry(
        _layer_scale,
        {"init_values": Option(number()), "projection_dim": Option(whole())},
    ),
    "StochasticDepth": Entry(
        _stochastic_depth, {"drop_path_rate": Option(number(0, 1 - 1e-7))}
    ),
}

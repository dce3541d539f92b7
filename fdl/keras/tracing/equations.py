"""Translate the operations of a jaxpr to Keras layers and functions of `keras.ops`."""

from typing import Any

import jax.numpy as jnp
import numpy as np

from fdl.keras.tracing.builder import Builder
from fdl.keras.tracing.combining import COMBINING
from fdl.keras.tracing.elementwise import ELEMENTWISE
from fdl.keras.tracing.moving import MOVING
from fdl.keras.tracing.nodes import Out, Weight
from fdl.weights import WeightsError

_OPERATIONS = {**ELEMENTWISE, **MOVING, **COMBINING}


def operation(b: Builder, equation: Any, given: list[Any]) -> list[Any]:
    """Return the outputs of an operation of the program."""
    name = equation.primitive.name
    weight = next((x for x in given if isinstance(x, Weight)), None)
    if not any(isinstance(x, Out) for x in given):
        if weight is not None:
            return [weight] * len(equation.outvars)
        return _folded(b, equation, given)
    if weight is not None:
        raise WeightsError(f"{weight} is used in a way that no Keras layer supports")
    read = _OPERATIONS.get(name)
    made = None if read is None else read(b, equation, *given)
    if made is None:
        raise WeightsError(
            f"the operation {name}, as it is used, does not exist in keras.ops"
        )
    return made if isinstance(made, list) else [made]


def _folded(b: Builder, equation: Any, given: list[Any]) -> list[Any]:
    """Compute an operation on constants, whose shape may depend on the batch size."""
    shapes = [b.shape(x.aval) for x in equation.outvars]
    name, params = equation.primitive.name, equation.params
    if all(None not in shape for shape in shapes):
        made = equation.primitive.bind(*map(jnp.asarray, given), **params)
        many = equation.primitive.multiple_results
        return list(map(np.asarray, made if many else [made]))
    (shape,) = shapes
    sizes = tuple(1 if size is None else size for size in shape)
    if name == "broadcast_in_dim":
        (x,) = given
        spread = [1] * len(sizes)
        for axis, size in zip(params["broadcast_dimensions"], x.shape, strict=True):
            spread[axis] = size
        return [np.broadcast_to(np.reshape(x, spread), sizes)]
    if name in ELEMENTWISE:
        made = equation.primitive.bind(
            *map(jnp.asarray, np.broadcast_arrays(*given)), **params
        )
        return [np.asarray(made)]
    raise WeightsError(f"the operation {name} depends on the batch size")

"""A row of the table of models."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

Epoch = Iterator[tuple[tuple[np.ndarray, ...], Any]]
"""Batches of an epoch: the model's inputs and targets."""


class Input(NamedTuple):
    """An input of a model: floats in [0, 1), or integers in [0, below)."""

    shape: tuple[int, ...]  # of one example
    below: int | None = None

    def draw(self, rng: np.random.Generator, batch: tuple[int, ...]) -> np.ndarray:
        """Draw distinct examples."""
        shape = (*batch, *self.shape)
        if self.below is None:
            return rng.random(shape, np.float32)
        return rng.integers(self.below, size=shape, dtype=np.int32)


class Case(NamedTuple):
    """A model, small enough to compute with, and its twin in Keras.

    Attributes:
        name: Its name in reports; a task of that name trains it.
        make: Builds the model.
        keras_twin: Builds the Keras model, with the same inputs and outputs in the same
            order; its layers have the names of the model's submodules.
        inputs: Its inputs, in order.
        num_params: Number of parameters.
        classes: The number of classes if the only output is logits, which learn by
            cross entropy; None for squared errors to any targets.
        epoch: Yields the batches of level 4, with labels or an array for each output;
            None for an epoch of digits, for a model of one image with `classes`.
        single: The highest level of parity in single precision.
    """

    name: str
    make: Callable[[], Any]
    keras_twin: Callable[[], Any]
    inputs: tuple[Input, ...]
    num_params: int
    classes: int | None = None
    epoch: Callable[[], Epoch] | None = None
    single: int = 4

    kinks = True  # of ReLU and pooling, where finite differences fail
    without_gradient = ()

    def arrays(self, *batch: int, seed: int = 0) -> tuple[np.ndarray, ...]:
        """Draw distinct inputs."""
        rng = np.random.default_rng(seed)
        return tuple(one.draw(rng, batch) for one in self.inputs)

    def variables(self, seed: int = 0) -> Any:
        """Draw distinct parameters, including biases."""
        return draw_variables(self.make(), *self.arrays(1), seed=seed)


def draw_variables(model: Any, *inputs: Any, seed: int = 0) -> Any:
    """Draw distinct variables for a model, including biases."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), *inputs)
    rng = np.random.default_rng(seed)

    def draw(path: Any, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        name = path[-1].key
        fan_in = max(1, leaf.size // leaf.shape[-1])
        spread = 0.1 if len(leaf.shape) == 1 else fan_in**-0.5
        values = rng.normal(scale=spread, size=leaf.shape)
        if name == "scale":
            values = 1 + values
        if name == "var":
            values = np.exp(values)
        return values.astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, shapes)

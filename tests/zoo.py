"""THE table of models: every law and every level of parity runs over its rows."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from fdl import models


class Case(NamedTuple):
    """A model, small enough to compute with, and its twin in Keras."""

    name: str
    make: Callable[[], Any]
    input_shape: tuple[int, ...]  # of one example
    num_classes: int
    num_params: int
    keras_twin: Callable[[], Any]  # layers have the names of fdl's sub-modules

    def inputs(self, *batch: int, seed: int = 0) -> np.ndarray:
        """Draw distinct inputs in [0, 1)."""
        rng = np.random.default_rng(seed)
        return rng.random((*batch, *self.input_shape), np.float32)

    def variables(self, seed: int = 0) -> Any:
        """Draw parameters that are all distinct, biases included."""
        return draw_variables(self.make(), self.inputs(1), seed=seed)


def draw_variables(model: Any, *inputs: Any, seed: int = 0) -> Any:
    """Draw variables for a model that are all distinct, biases included."""
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


def _keras_cnn() -> Any:
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, (3, 3), activation="relu", name="conv1"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu", name="conv2"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu", name="conv3"),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="dense"),
            layers.Dense(10, name="head"),
        ]
    )


def _keras_mlp() -> Any:
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(128, activation="relu", name="dense1"),
            layers.Dense(10, name="head"),
        ]
    )


ZOO = [
    Case("cnn", lambda: models.CNN(10), (28, 28, 1), 10, 93_322, _keras_cnn),
    Case("mlp", lambda: models.MLP(10), (28, 28, 1), 10, 101_770, _keras_mlp),
]

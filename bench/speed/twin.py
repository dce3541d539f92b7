"""What a framework's side of the comparison must be able to do."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

Arrays = dict[str, np.ndarray]
"""Arrays by name; a parameter is called as in fdl, with `_` between the levels, and has
fdl's layout."""

Precision = Literal["float32", "tf32", "bfloat16"]
"""How a GPU multiplies: exactly, from inputs rounded to 10 bits after the point, or in
mixed precision throughout the model."""

LEARNING_RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-7

LONG_EPSILON = EPSILON / (1 - BETA_2) ** 0.5
"""Where Adam adds epsilon to the corrected root, as in optax and PyTorch, this makes
Keras' first step."""


class Step(NamedTuple):
    """What a training step from given parameters does.

    Attributes:
        outputs: Of the model, before the step.
        loss: Before the step.
        gradients: Of the loss, as the optimizer saw them: Adam's first moment after the
            first step is a tenth of them. NaN where there is no such parameter.
        params: After the step. NaN likewise.
    """

    outputs: np.ndarray
    loss: np.ndarray
    gradients: Arrays
    params: Arrays


class Twin(Protocol):
    """One case in one framework, with one setting."""

    def multiply_in(self, precision: Precision) -> None:
        """Compute products in this precision from here on; asked for on GPUs only."""

    def load(self, params: Arrays) -> None:
        """Take these parameters."""

    def first_step(self, batch: Arrays) -> Step:
        """Make the first training step."""

    def trainer(self, data: Arrays, batch_size: int) -> Callable[[], Any]:
        """Return what trains once through the data, and waits for the end."""

    def outputs(self, batch: Arrays) -> np.ndarray:
        """Return the model's outputs, as it is trained by now."""

    def predictor(self, batch: Arrays, times: int) -> Callable[[], Any]:
        """Return what computes the outputs of a batch so many times, and waits."""

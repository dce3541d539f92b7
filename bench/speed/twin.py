"""The interface of a framework in the comparison."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

Arrays = dict[str, np.ndarray]
"""Arrays by name; parameters have fdl's names, with `_` between levels, and fdl's
layout."""

Precision = Literal["float32", "tf32", "bfloat16"]
"""Precision of products on a GPU: full float32, inputs rounded to 10 bits of mantissa,
or mixed precision in the whole model."""

LEARNING_RATE, BETA_1, BETA_2, EPSILON = 1e-3, 0.9, 0.999, 1e-7

LONG_EPSILON = EPSILON / (1 - BETA_2) ** 0.5
"""Epsilon that makes the first step equal Keras' in an Adam that adds it after bias
correction, as in optax and PyTorch."""


class Step(NamedTuple):
    """The effect of a training step from given parameters.

    Attributes:
        outputs: Outputs of the model before the step.
        loss: Loss before the step.
        gradients: Gradients that the optimizer received, ten times Adam's first moment
            after the first step. NaN for parameters that do not exist.
        params: Parameters after the step. NaN for parameters that do not exist.
    """

    outputs: np.ndarray
    loss: np.ndarray
    gradients: Arrays
    params: Arrays


class Twin(Protocol):
    """A case in a framework, with one setting."""

    def multiply_in(self, precision: Precision) -> None:
        """Set the precision of products; called on GPUs only."""

    def load(self, params: Arrays) -> None:
        """Set the parameters."""

    def first_step(self, batch: Arrays) -> Step:
        """Make the first training step."""

    def trainer(self, data: Arrays, batch_size: int) -> Callable[[], Any]:
        """Return a function that trains one epoch and waits for the end."""

    def outputs(self, batch: Arrays) -> np.ndarray:
        """Return the outputs of the model with its current parameters."""

    def predictor(self, batch: Arrays, times: int) -> Callable[[], Any]:
        """Return a function that predicts a batch repeatedly and waits."""

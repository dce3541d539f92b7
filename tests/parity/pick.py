"""Choices of shapes and options of layers, in a few draws each."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

DRAWS = 4
T = TypeVar("T")


class Pick(Protocol):
    """Chooses among options."""

    def one(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        ...


class Spread:
    """Chooses at random, but spreads the draws evenly over the options.

    With fewer options than draws, each option is chosen equally often; with more, no
    two draws get the same option.
    """

    def __init__(self, draw: int, draws: int = DRAWS) -> None:
        self.draw, self.draws = draw, draws
        self.rng = np.random.default_rng(
            0
        )  # one for all draws, so that they are spread

    def one(self, options: Sequence[T]) -> T:
        """Return the option of this draw."""
        order = np.resize(self.rng.permutation(len(options)), self.draws)
        return options[self.rng.permutation(order)[self.draw]]


def number(pick: Pick, low: int, high: int) -> int:
    """Choose an integer from `low` to `high`, inclusive."""
    return pick.one(range(low, high + 1))


def pair(pick: Pick, low: int, high: int) -> tuple[int, int]:
    """Choose two integers from `low` to `high`, inclusive."""
    return number(pick, low, high), number(pick, low, high)


def normal(*shape: int) -> np.ndarray:
    """Draw distinct values."""
    return np.random.default_rng(7).normal(size=shape).astype(np.float32)


def steps(*shape: int) -> np.ndarray:
    """Draw values with many ties and zeros."""
    rng = np.random.default_rng(7)
    return rng.integers(-2, 3, size=shape).astype(np.float32) / 2

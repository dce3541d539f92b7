"""Choosing shapes and options of layers: a few draws of each."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

DRAWS = 4
T = TypeVar("T")


class Pick(Protocol):
    """Chooses."""

    def one(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        ...


class Spread:
    """Chooses at random, spread so that a few draws together meet every option.

    What has fewer options than there are draws is given each of them equally often; of
    what has more, no two draws are given the same.
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
    """Choose a whole number, both ends included."""
    return pick.one(range(low, high + 1))


def pair(pick: Pick, low: int, high: int) -> tuple[int, int]:
    """Choose two whole numbers."""
    return number(pick, low, high), number(pick, low, high)


def normal(*shape: int) -> np.ndarray:
    """Draw distinct values."""
    return np.random.default_rng(7).normal(size=shape).astype(np.float32)


def steps(*shape: int) -> np.ndarray:
    """Draw values of which many are equal, or zero."""
    rng = np.random.default_rng(7)
    return rng.integers(-2, 3, size=shape).astype(np.float32) / 2

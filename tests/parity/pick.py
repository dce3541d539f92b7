"""Choosing shapes and options: by hypothesis in tests, by a seed in reports."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np
from hypothesis import strategies as st

T = TypeVar("T")


class Pick(Protocol):
    """Chooses."""

    def one(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        ...


class Hypothesis:
    """Lets hypothesis choose, and shrink what fails."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data

    def one(self, options: Sequence[T]) -> T:
        return self.data.draw(st.sampled_from(options))


class Seeded:
    """Chooses at random, the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def one(self, options: Sequence[T]) -> T:
        return options[self.rng.integers(len(options))]


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

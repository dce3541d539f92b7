"""What is the same program: never one too many, since that would be a wrong result."""

import dataclasses
import functools

import flax.linen as nn
import numpy as np
import pytest
from jaxtyping import jaxtyped

from fdl.programs import Same


def times(factor):
    """A function that closes over something."""
    return lambda x: x * factor


class Number(float):
    """A number with a name."""


class Options(dict):
    """A dictionary with attributes."""


def with_attribute(x, value):
    x.value = value
    return x


@dataclasses.dataclass(frozen=True)
class Loss:
    """A loss whose field does not count when it is compared."""

    scale: float = dataclasses.field(compare=False)

    def __call__(self, x):
        return x * self.scale


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A loss that keeps what is no field."""

    scale: dataclasses.InitVar[float]

    def __post_init__(self, scale):
        object.__setattr__(self, "kept", 2 * scale)


def decorated(factor):
    """A function that a user's decorator wraps, and a check of types that."""

    def decorator(function):
        @functools.wraps(function)
        def wrapped(x):
            return factor * function(x)

        return wrapped

    return jaxtyped(typechecker=None)(decorator(lambda x: x))


UNLIKE = {
    "types of numbers": (times(1), times(1.0)),
    "a boolean": (times(1), times(True)),
    "promotion of types": (times(np.float64(2)), times(2.0)),
    "signs of 0": (times(0.0), times(-0.0)),
    "signs of 0, complex": (times(0j), times(complex(0, -0.0))),
    "an attribute of a number": tuple(
        times(with_attribute(Number(1), k)) for k in (1, 2)
    ),
    "an attribute of a dictionary": tuple(
        times(with_attribute(Options(), k)) for k in (1, 2)
    ),
    "an attribute of a function": tuple(with_attribute(times(1), k) for k in (1, 2)),
    "a field that is not compared": (Loss(1.0), Loss(2.0)),
    "what is no field": (Prepared(1.0), Prepared(2.0)),
    "a decorator below a check of types": (decorated(1), decorated(2)),
    "the name of a module": (nn.Dense(1, name="a"), nn.Dense(1, name="b")),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_what_differs_is_not_the_same(name) -> None:
    one, other = UNLIKE[name]
    assert Same(one) != Same(other)


ALIKE = {
    "closures": lambda: times(2.0),
    "not a number": lambda: times(float("nan")),
    "nested": lambda: times({"a": (times(1), 2)}),
    "partial": lambda: functools.partial(times(1), x=2),
    "a check of types": lambda: decorated(2),
    "a module": lambda: nn.Dense(3, kernel_init=nn.initializers.normal(0.1)),
    "a dataclass": lambda: Prepared(1.0),
}


@pytest.mark.parametrize("name", ALIKE)
def test_what_is_made_anew_is_the_same(name) -> None:
    one, other = ALIKE[name](), ALIKE[name]()
    assert Same(one) == Same(other)
    assert hash(Same(one)) == hash(Same(other))

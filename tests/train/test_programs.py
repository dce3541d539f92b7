"""Which functions share a program: too much sharing would give wrong results."""

import dataclasses
import functools
import gc
import weakref

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest
from jaxtyping import jaxtyped

import fdl
from fdl import programs
from fdl.programs import Same, _program, program


def times(factor):
    """Return a function that closes over `factor`."""
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
    """A loss whose field is excluded from comparisons."""

    scale: float = dataclasses.field(compare=False)

    def __call__(self, x):
        return x * self.scale


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A loss with an attribute that is not a field."""

    scale: dataclasses.InitVar[float]

    def __post_init__(self, scale):
        object.__setattr__(self, "value", 2 * scale)


def decorated(factor):
    """Return a function wrapped by a user's decorator, and then by a type check."""

    def decorator(function):
        @functools.wraps(function)
        def wrapped(x):
            return factor * function(x)

        return wrapped

    return jaxtyped(typechecker=None)(decorator(lambda x: x))


DIFFERENT = {
    "types of numbers": (times(1), times(1.0)),
    "a boolean": (times(1), times(True)),
    "type promotion": (times(np.float64(2)), times(2.0)),
    "signs of 0": (times(0.0), times(-0.0)),
    "signs of 0, complex": (times(0j), times(complex(0, -0.0))),
    "types of arrays": (times(np.ones(2, np.float32)), times(np.ones(2, np.int32))),
    "shapes of arrays": (times(np.ones((2, 1))), times(np.ones((1, 2)))),
    "signs of 0 in arrays": (times(np.zeros(1)), times(-np.zeros(1))),
    "an attribute of a number": tuple(
        times(with_attribute(Number(1), k)) for k in (1, 2)
    ),
    "an attribute of a dictionary": tuple(
        times(with_attribute(Options(), k)) for k in (1, 2)
    ),
    "an attribute of a function": tuple(with_attribute(times(1), k) for k in (1, 2)),
    "a field that is not compared": (Loss(1.0), Loss(2.0)),
    "an attribute that is not a field": (Prepared(1.0), Prepared(2.0)),
    "a decorator below a type check": (decorated(1), decorated(2)),
    "the name of a module": (nn.Dense(1, name="a"), nn.Dense(1, name="b")),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_different_values_are_not_the_same(name) -> None:
    one, other = DIFFERENT[name]
    assert Same(one) != Same(other)


EQUAL = {
    "closures": lambda: times(2.0),
    "NaN": lambda: times(float("nan")),
    "nested": lambda: times({"a": (times(1), 2)}),
    "partial": lambda: functools.partial(times(1), x=2),
    "a type check": lambda: decorated(2),
    "a module": lambda: nn.Dense(3, kernel_init=nn.initializers.normal(0.1)),
    "a list in a module": lambda: nn.Sequential([nn.Dense(3), nn.relu, nn.Dense(1)]),
    "a list": lambda: times([1, {"a": 2}]),
    "a set": lambda: times({1, "a"}),
    "an array": lambda: times(np.arange(3)),
    "a NumPy number": lambda: times(np.float32(2)),
    "schedules": lambda: optax.join_schedules([times(1), times(2)], [3]),
    "a slice": lambda: times((slice(2), range(3))),
    "a dataclass": lambda: Prepared(1.0),
}


@pytest.mark.parametrize("name", EQUAL)
def test_values_created_again_are_the_same(name) -> None:
    one, other = EQUAL[name](), EQUAL[name]()
    assert Same(one) == Same(other)
    assert hash(Same(one)) == hash(Same(other))


CHANGES = {
    "a list": ([1.0], lambda value: value.append(2.0)),
    "a dictionary": ({0: 1.0}, lambda value: value.update({0: 2.0})),
    "an array": (np.ones(1, np.float32), lambda value: value.fill(2.0)),
    "a list in a list": ([[1.0]], lambda value: value[0].append(2.0)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_in_place_are_noticed(name) -> None:
    value, change = CHANGES[name]
    total = lambda value: float(sum(np.sum(x) for x in jax.tree.leaves(value)))
    make = lambda: lambda x: x * total(value)
    assert float(program(make())(1.0)) == 1.0
    change(value)
    assert float(program(make())(1.0)) == total(value) > 1.0


def test_new_shapes_trace_the_current_function() -> None:
    first, second = [2.0], [2.0]
    make = lambda factors: lambda x: x * factors[0]
    assert float(program(make(first))(np.float32(1))) == 2.0
    first[0] = 5.0
    assert program(make(second))(np.ones(3, np.float32)).tolist() == [2.0] * 3


def test_the_next_learner_uses_class_weights_changed_in_place() -> None:
    weights = np.ones(2, np.float32)

    def measured():
        loss = lambda outputs, label: (
            jax.numpy.asarray(weights)[label] * fdl.losses.cross_entropy(outputs, label)
        )
        learner = fdl.learners.supervised(nn.Dense(2), loss, optax.sgd(0.1))
        data = np.ones((4, 3), np.float32), np.zeros(4, np.int32)
        state = learner.init(jax.random.key(0), data)
        return fdl.evaluate(learner, state, data)["loss"]

    before = measured()
    weights[0] = 3.0
    np.testing.assert_allclose(measured(), 3 * before, rtol=1e-6)


SCALE = 1.0


def scaled(x):
    """A function that reads a global number."""
    return SCALE * x


class Scaled(nn.Module):
    """A module that reads it, too."""

    @nn.compact
    def __call__(self, x):
        return scaled(x)


class Weighing:
    """A loss with a setting and a class attribute."""

    factor = 1.0

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, x):
        return self.factor * self.weight * x


@pytest.mark.parametrize("make", [lambda: scaled, lambda: times(Scaled())])
def test_a_changed_global_is_noticed(monkeypatch, make) -> None:
    one, again = Same(make()), Same(make())
    monkeypatch.setitem(globals(), "SCALE", 2.0)
    assert one == again != Same(make())


def test_changed_attributes_of_an_object_and_its_class_are_noticed(monkeypatch) -> None:
    loss = Weighing(1.0)
    assert Same(loss) == Same(loss)
    assert Same(loss.__call__) == Same(loss.__call__)
    before = Same(loss)
    loss.weight = 2.0
    after = Same(loss)
    assert before != after
    monkeypatch.setattr(Weighing, "factor", 3.0)
    assert after != Same(loss)


def test_a_function_redefined_in_a_notebook_is_noticed() -> None:
    notebook = {}

    def run(factor):
        exec(f"def helper(x): return {factor} * x", notebook)
        exec("def loss(x): return helper(x)", notebook)
        return float(program(notebook["loss"])(1.0))

    assert [run(1), run(3), run(1)] == [1.0, 3.0, 1.0]
    before = _program.cache_info().misses
    assert run(3) == 3.0
    assert _program.cache_info().misses == before


def test_mutually_recursive_functions_are_compared() -> None:
    notebook = {}
    exec("def f(x): return g(x)\ndef g(x): return f(x) + k\nk = 1", notebook)
    one = Same(notebook["f"])
    assert one == Same(notebook["f"])
    notebook["k"] = 2
    assert one != Same(notebook["f"])


def test_a_loop_of_fits_does_not_grow(monkeypatch) -> None:
    """The numbers of each new learner are constants of its programs."""
    assert programs._program.cache_parameters()["maxsize"], "the cache is bounded"
    few = functools.lru_cache(maxsize=5)(programs._program.__wrapped__)
    monkeypatch.setattr(programs, "_program", few)
    images = np.random.default_rng(0).random((8, 2, 2, 1), np.float32)
    data, model = fdl.Batch(images, np.arange(8) % 3), fdl.models.MLP(3, ())
    counts, steps = [], []
    for k in range(5):
        sgd = optax.sgd(1e-3 * (k + 1))
        learner = fdl.learners.supervised(model, fdl.losses.cross_entropy, sgd)
        steps.append(weakref.ref(learner.step))
        fdl.fit(learner, data, epochs=1, batch_size=4, key=0)
        del learner, sgd
        gc.collect()
        counts.append(len(jax.devices()[0].client.live_executables()))
    assert counts[-1] == counts[-2] == counts[-3]
    assert sum(step() is not None for step in steps) <= 2

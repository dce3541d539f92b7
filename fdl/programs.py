"""Compiled programs, kept by what they are made of and not by who asks for them."""

import dataclasses
import dis
import functools
import sys
import sysconfig
import types
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.core import Tracer

_KEPT = 64


class Same:
    """A value that equals every other made of the same parts.

    Two functions are the same if they run the same code on the same values: those that
    they close over, those that they are bound to, and, for code that is not of an
    installed package, the global values that they read. A learner that is made anew, by
    the same call or with other numbers in its state, consists of the same functions; so
    it needs no new program.

    Lists, dictionaries and NumPy arrays are compared by what they contain when they are
    looked at, so that a change in place counts. NumPy arrays of more than 1 MiB, arrays
    of JAX, and objects of which nothing is known, equal themselves alone.

    Example:
        >>> plus = lambda n: lambda x: x + n
        >>> Same(plus(1)) == Same(plus(1)), Same(plus(1)) == Same(plus(2))
        (True, False)
    """

    def __init__(self, value: Any) -> None:
        """Look at what it is made of."""
        self.value = value
        self._parts = _parts(value, {})
        self._hash = hash(self._parts)

    def __eq__(self, other: object) -> bool:
        """Return whether both are made of the same parts."""
        return isinstance(other, Same) and self._parts == other._parts

    def __hash__(self) -> int:
        """Return the hash of the parts."""
        return self._hash


def program(
    function: Callable[..., Any],
    *first: Any,
    donate: tuple[int, ...] = (),
    once: bool = False,
) -> Any:
    """Return `jax.jit` of a function whose first arguments are given.

    The same function and arguments always get the same program. The last 64 programs
    are kept, so that making many learners in a loop does not fill the memory.

    Args:
        function: What is to be compiled.
        *first: Its first arguments, which are constants of the program.
        donate: Places of the arguments, after these, whose memory it may take over.
        once: Whether it runs once, as what draws parameters: then it is compiled in
            half the time on CPU, to run more slowly, with the same results bit for bit.
    """
    kept = _program(Same(function), Same(first), donate)
    # For arrays of other shapes it is traced again. What is traced then must be what is
    # asked for now: what the same function of an earlier call is made of may have been
    # changed since, such as a list.
    kept.traced[:] = [functools.partial(function, *first)]
    if in_program():
        return kept.part
    return kept.compiled_quickly if once else kept.compiled


class _Kept(NamedTuple):
    """A program, alone and as part of another, and what is traced for new shapes."""

    compiled: Any
    compiled_quickly: Any
    part: Any
    traced: list[Callable[..., Any]]


@functools.lru_cache(maxsize=_KEPT)
def _program(function: Same, first: Same, donate: tuple[int, ...]) -> _Kept:
    traced = [functools.partial(function.value, *first.value)]
    whole = lambda *args: traced[0](*args)
    jit = functools.partial(jax.jit, whole, donate_argnums=donate)
    usual, quick = (jit(compiler_options=_options(once=once)) for once in (False, True))
    return _Kept(usual, quick, jit(), traced)


def _options(*, once: bool) -> dict[str, Any] | None:
    """Return the options of XLA with which programs are compiled."""
    # At level 0, which this setting asks for, products and sums are rounded otherwise.
    none = jax.config.read("jax_disable_most_optimizations")
    if none or jax.default_backend() != "cpu":
        return None
    # Where a CPU has vectors of 512 bits, XLA uses half of them unless it is told. A
    # step of the models of bench/speed takes 0.9 to 1.0 times as long with all.
    wide = {"xla_cpu_prefer_vector_width": 512}
    return wide | {"xla_backend_optimization_level": 1} if once else wide


def in_program() -> bool:
    """Return whether a program is being traced, whose options count for all of it."""
    return isinstance(jax.device_put(0), Tracer)


class _Same:
    """An object that equals itself alone, and is kept as long as it is compared."""

    def __init__(self, thing: object) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)


def _parts(x: Any, seen: dict[int, tuple[int, Any]]) -> Hashable:
    """Return what an object is made of, as something that can be compared."""
    if id(x) in seen:  # a function that refers to itself
        return ("seen", seen[id(x)][0])
    if type(x) in _PLAIN or (isinstance(x, type) and not _is_users(x.__module__)):
        return (type(x), x)
    if type(x) in (float, complex, np.float64):  # 0.0 == -0.0, but they differ
        return (type(x), repr(x))
    seen[id(x)] = len(seen), x  # kept, so that its id stays its own
    of = lambda *values: tuple(_parts(value, seen) for value in values)
    if isinstance(x, type):
        return (_Same(x), *of(x.__bases__, *_attributes(x, _OF_CLASSES)))
    if isinstance(x, types.FunctionType):
        named = vars(x)
        if str(x.__globals__.get("__name__")).startswith("jaxtyping."):
            # A check of types and shapes, which is wrapped around a function anew each
            # time that the function is made.
            return _parts(named["__wrapped__"], seen)
        cells = [_content(cell) for cell in x.__closure__ or ()]
        named = {name: value for name, value in named.items() if name != "__wrapped__"}
        given = (x.__defaults__, x.__kwdefaults__, named, _read(x))
        return ("function", x.__code__, id(x.__globals__), *of(*given, *cells))
    if isinstance(x, types.MethodType):
        return ("method", *of(x.__func__, x.__self__))
    if isinstance(x, functools.partial):
        return (type(x), *of(x.func, x.args, x.keywords))
    if isinstance(x, tuple) or type(x) is list:
        return (type(x), *of(*x, *_attributes(x, ())))
    if type(x) in (set, frozenset):
        return (type(x), len(x), frozenset(of(*x)))
    if type(x) in (slice, range):
        return (type(x), *of(x.start, x.stop, x.step))
    if type(x) is np.ndarray or isinstance(x, np.generic):
        if x.dtype != object and x.nbytes <= _LARGE:
            return (type(x), x.dtype, x.shape, x.tobytes())
    if isinstance(x, Mapping) and type(x).__name__ in _MAPPINGS:
        return (type(x), *of(*x.keys()), *of(*x.values()))
    if dataclasses.is_dataclass(x) and _is_value(type(x)):
        names = [field.name for field in dataclasses.fields(x)]
        fields = (getattr(x, name, None) for name in names)
        return (type(x), *of(type(x), *fields, *_attributes(x, names)))
    if _is_users(type(x).__module__):
        return (_Same(x), *of(type(x), *_attributes(x, ())))
    return _Same(x)


def _read(function: types.FunctionType) -> dict[str, Any]:
    """Return the global values that a function of the user's reads.

    Those of installed packages are constants, as far as anybody knows.
    """
    values = function.__globals__
    if not _is_users(values.get("__name__")):
        return {}
    names = _global_names(function.__code__)
    return {name: values[name] for name in names if name in values}


@functools.lru_cache(maxsize=4096)
def _global_names(code: types.CodeType) -> tuple[str, ...]:
    found = {
        instruction.argval
        for instruction in dis.get_instructions(code)
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= set(_global_names(constant))
    return tuple(sorted(found))


@functools.cache
def _is_users(module: str | None) -> bool:
    """Return whether a module is the user's, not fdl's or that of another package."""
    root = str(module).partition(".")[0]
    if root in sys.stdlib_module_names or root == __name__.partition(".")[0]:
        return root == "__main__"
    file = getattr(sys.modules.get(root), "__file__", None)
    packages = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    return file is None or not any(
        Path(file).is_relative_to(folder) for folder in packages
    )


_PLAIN = (str, bytes, int, bool, types.ModuleType, type(None))
# Of arrays, in bytes: to look at the values of larger ones would take too long.
_LARGE = 2**20
_MAPPINGS = ("dict", "mappingproxy", "FrozenDict")
# Of a module: who it belongs to, which is a field, and what is true within a call.
_NOT_OWN = ("_parent_ref", "_id", "_state")
_OF_CLASSES = ("__dict__", "__weakref__", "__doc__", "__annotations__", "__module__")


def _attributes(x: Any, known: Sequence[str]) -> list[Any]:
    """Return names and values of what an object keeps besides what is known."""
    kept = getattr(x, "__dict__", {})
    return [
        y
        for name in kept
        if name not in (*known, *_NOT_OWN)
        for y in (name, kept[name])
    ]


def _is_value(kind: type) -> bool:
    """Return whether a class compares its objects by their fields, as modules do."""
    return kind.__hash__ is not None and kind.__eq__ is not object.__eq__


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None

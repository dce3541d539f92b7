"""Compiled programs, cached by the code and values that they are compiled from."""

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
    """A value that equals every other value with equal parts.

    Two functions are equal if they run the same code on the same values: those in their
    closures, those that they are bound to, and, for code outside installed packages,
    the globals that they read. A learner that is created again, by the same call or
    with other numbers in its state, consists of equal functions, so it reuses the
    compiled program.

    Lists, dictionaries and NumPy arrays are compared by their contents at the time of
    wrapping, so changes in place count. NumPy arrays of more than 1 MiB, JAX arrays,
    and objects of unknown types are equal only to themselves.

    Example:
        >>> plus = lambda n: lambda x: x + n
        >>> Same(plus(1)) == Same(plus(1)), Same(plus(1)) == Same(plus(2))
        (True, False)
    """

    def __init__(self, value: Any) -> None:
        """Record the parts of the value."""
        self.value = value
        self._parts = _parts(value, {})
        self._hash = hash(self._parts)

    def __eq__(self, other: object) -> bool:
        """Return whether both have equal parts."""
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
    """Return `jax.jit` of a function with its first arguments fixed.

    Equal functions and arguments always get the same program. Only the 64 most recently
    used programs are cached, so creating many learners in a loop does not fill memory.

    Args:
        function: The function to compile.
        *first: Its first arguments, which become constants of the program.
        donate: Positions, among the remaining arguments, of those that are donated.
        once: Whether the program runs once, such as one that initializes parameters:
            on CPU it then compiles in half the time but runs more slowly, with the same
            results bit for bit.
    """
    kept = _program(Same(function), Same(first), donate)
    # Arrays of other shapes trace the function again. Trace the one passed now: the
    # equal function of an earlier call may have changed since, such as a list in it.
    kept.traced[:] = [functools.partial(function, *first)]
    if in_program():
        return kept.part
    return kept.compiled_quickly if once else kept.compiled


class _Kept(NamedTuple):
    """A program, alone and within another, and the function to trace for new shapes."""

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
    """Return the XLA options of programs."""
    # At level 0, which this setting requests, products and sums round differently.
    none = jax.config.read("jax_disable_most_optimizations")
    if none or jax.default_backend() != "cpu":
        return None
    # On a CPU with 512-bit vectors, XLA uses 256 bits by default. With all 512, a step
    # of the models in bench/speed takes 0.9 to 1.0 times as long.
    wide = {"xla_cpu_prefer_vector_width": 512}
    return wide | {"xla_backend_optimization_level": 1} if once else wide


def in_program() -> bool:
    """Return whether a program is being traced, whose options then apply throughout."""
    return isinstance(jax.device_put(0), Tracer)


class _Same:
    """An object that equals only itself, and is kept alive while it is compared."""

    def __init__(self, thing: object) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)


def _parts(x: Any, seen: dict[int, tuple[int, Any]]) -> Hashable:
    """Return the parts of an object, in a form that can be compared."""
    if id(x) in seen:  # a function that refers to itself
        return ("seen", seen[id(x)][0])
    if type(x) in _PLAIN or (isinstance(x, type) and not _is_users(x.__module__)):
        return (type(x), x)
    if type(x) in (float, complex, np.float64):  # 0.0 == -0.0, but they differ
        return (type(x), repr(x))
    seen[id(x)] = len(seen), x  # kept alive, so that its id is not reused
    of = lambda *values: tuple(_parts(value, seen) for value in values)
    if isinstance(x, type):
        return (_Same(x), *of(x.__bases__, *_attributes(x, _OF_CLASSES)))
    if isinstance(x, types.FunctionType):
        named = vars(x)
        if str(x.__globals__.get("__name__")).startswith("jaxtyping."):
            # A checker of types and shapes, which is wrapped anew around a function
            # each time that the function is defined.
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
    """Return the globals that a function of the user reads.

    Globals of installed packages are assumed to be constant.
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
    """Return whether a module is the user's, not that of fdl or another package."""
    root = str(module).partition(".")[0]
    if root in sys.stdlib_module_names or root == __name__.partition(".")[0]:
        return root == "__main__"
    file = getattr(sys.modules.get(root), "__file__", None)
    packages = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    return file is None or not any(
        Path(file).is_relative_to(folder) for folder in packages
    )


_PLAIN = (str, bytes, int, bool, types.ModuleType, type(None))
# Bytes of an array; comparing the values of larger ones would take too long.
_LARGE = 2**20
_MAPPINGS = ("dict", "mappingproxy", "FrozenDict")
# Of a Linen module: its parent, which is a field already, and the state of a call.
_NOT_OWN = ("_parent_ref", "_id", "_state")
_OF_CLASSES = ("__dict__", "__weakref__", "__doc__", "__annotations__", "__module__")


def _attributes(x: Any, known: Sequence[str]) -> list[Any]:
    """Return names and values of an object's attributes, other than those known."""
    kept = getattr(x, "__dict__", {})
    return [
        y
        for name in kept
        if name not in (*known, *_NOT_OWN)
        for y in (name, kept[name])
    ]


def _is_value(kind: type) -> bool:
    """Return whether a class compares its instances by value, as modules do."""
    return kind.__hash__ is not None and kind.__eq__ is not object.__eq__


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None

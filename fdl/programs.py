"""Compiled programs, kept by what they are made of and not by who asks for them."""

import dataclasses
import functools
import inspect
import types
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import jax

_KEPT = 64


class Same:
    """A value that equals every other made of the same parts.

    Two functions are the same if they run the same code on the same values: those that
    they close over, and those that they are bound to. A learner that is made anew, by
    the same call or with other numbers in its state, consists of the same functions; so
    it needs no new program.

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
    function: Callable[..., Any], *first: Any, donate: tuple[int, ...] = ()
) -> Any:
    """Return `jax.jit` of a function whose first arguments are given.

    The same function and arguments always get the same program. The last 64 programs
    are kept, so that making many learners in a loop does not fill the memory.

    Args:
        function: What is to be compiled.
        *first: Its first arguments, which are constants of the program.
        donate: Places of the arguments, after these, whose memory it may take over.
    """
    return _program(Same(function), Same(first), donate)


@functools.lru_cache(maxsize=_KEPT)
def _program(function: Same, first: Same, donate: tuple[int, ...]) -> Any:
    whole = functools.partial(function.value, *first.value)
    return jax.jit(whole, donate_argnums=donate)


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
    if isinstance(x, float):  # 0.0 == -0.0, but they are not the same
        return (float, x.hex())
    if isinstance(x, (str, bytes, int, complex, type, types.ModuleType, type(None))):
        return (type(x), x)
    seen[id(x)] = len(seen), x  # kept, so that its id stays its own
    of = lambda *values: tuple(_parts(value, seen) for value in values)
    if isinstance(x, types.FunctionType):
        if str(x.__globals__.get("__name__")).startswith("jaxtyping."):
            # A check of types and shapes, which is wrapped around a function anew each
            # time that the function is made.
            return _parts(inspect.unwrap(x), seen)
        cells = [_content(cell) for cell in x.__closure__ or ()]
        given = (x.__defaults__, x.__kwdefaults__)
        return ("function", x.__code__, id(x.__globals__), *of(*given, *cells))
    if isinstance(x, types.MethodType):
        return ("method", *of(x.__func__, x.__self__))
    if isinstance(x, functools.partial):
        return ("partial", *of(x.func, x.args, x.keywords))
    if isinstance(x, tuple):
        return (type(x), *of(*x))
    if isinstance(x, Mapping):
        return (type(x), *of(*x.keys()), *of(*x.values()))
    if dataclasses.is_dataclass(x) and _is_value(type(x)):
        fields = [f.name for f in dataclasses.fields(x) if f.compare]
        return (type(x), *of(*(getattr(x, name, None) for name in fields)))
    return _Same(x)


def _is_value(kind: type) -> bool:
    """Return whether a class compares its objects by their fields, as modules do."""
    return kind.__hash__ is not None and kind.__eq__ is not object.__eq__


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None

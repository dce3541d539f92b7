"""Types and shapes of fdl's functions, checked when tests call them.

The import hook of jaxtyping decorates each function of fdl with `jaxtyping.jaxtyped`.
Checks would take a fifth of the time of all tests, since that looks at arguments twice,
binds them in Python, and does all its work anew for a function that is defined within
another, in each call of that one. What stands in its place here looks at arguments and
at what is returned once, and keeps what it has made of a function.
"""

import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

import jaxtyping
from beartype import beartype
from beartype.roar import BeartypeCallHintViolation

__name__ = "jaxtyping.checked"  # fdl.programs looks through what jaxtyping wraps
_theirs = jaxtyping.jaxtyped
# In which a name of an axis has one size; made when it is needed, which imports JAX.
_shapes = functools.cache(lambda: _theirs("context"))


def jaxtyped(function: Any = None, *, typechecker: Any = None) -> Any:
    """Return a function with its types and shapes checked."""
    if function is None:
        return functools.partial(jaxtyped, typechecker=typechecker)
    checks = _checks_of(function) if type(function) is FunctionType else None
    if checks is None:
        return _theirs(function, typechecker=typechecker)
    takes, gives = checks

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if jaxtyping.config.jaxtyping_disable:
            return function(*args, **kwargs)
        with _shapes():
            try:
                takes(*args, **kwargs)
            except BeartypeCallHintViolation as error:
                raise jaxtyping.TypeCheckError(str(error)) from error
            result = function(*args, **kwargs)
            try:
                return gives(result)
            except BeartypeCallHintViolation as error:
                raise jaxtyping.TypeCheckError(str(error)) from error

    return call


jaxtyping.jaxtyped = jaxtyped


def checked(function: Any) -> Any:
    """Return a function or class with its types checked, as beartype does it."""
    if isinstance(function, type):
        return beartype(function)
    return functools.wraps(function)(_when_called(lambda: function))


_Checks = tuple[Callable[..., None], Callable[[Any], Any]]
_KNOWN: dict[Any, _Checks | None] = {}


def _checks_of(function: FunctionType) -> _Checks | None:
    """Return functions that check arguments and what is returned; None to leave it."""
    key = (function.__code__, *function.__annotations__.items())
    try:
        if key not in _KNOWN:
            _KNOWN[key] = _make_checks(function)
        return _KNOWN[key]
    except TypeError:  # a type that is a list, such as that of a callable
        return None


def _make_checks(function: FunctionType) -> _Checks | None:
    arguments = dict(function.__annotations__)
    # In strings, there are names yet to be defined, or sizes that arguments have.
    if any(isinstance(type_, str) or "{" in str(type_) for type_ in arguments.values()):
        return None
    returned = {"return": arguments.pop("return", Any)}
    takes = lambda: _empty(function, _parameters(function), arguments)
    gives = lambda: _empty(function, "(result)", returned)
    return _when_called(takes), _when_called(gives)


def _when_called(make: Callable[[], Any]) -> Callable[..., Any]:
    """Ask beartype at the first call: each process imports more than it calls."""
    asked = functools.cache(lambda: beartype(make()))
    return lambda *args, **kwargs: asked()(*args, **kwargs)


def _parameters(function: FunctionType) -> str:
    """Return the parameters of a function as they are written, without types."""
    bare = [
        each.replace(
            annotation=each.empty,
            default=each.empty if each.default is each.empty else None,
        )
        for each in inspect.signature(function).parameters.values()
    ]
    return str(inspect.Signature(bare))


def _empty(function: FunctionType, parameters: str, types: dict[str, Any]) -> Any:
    """Return a function of that name that returns `result`, if it is given that."""
    name, made = function.__name__, {}
    result = "result" if parameters == "(result)" else "None"
    exec(f"def {name}{parameters}: return {result}", made)
    made[name].__annotations__ = types
    made[name].__module__ = function.__module__
    made[name].__qualname__ = function.__qualname__
    return made[name]

"""The type checker of the tests: beartype, asked once for each signature in use."""

import functools
from collections.abc import Callable
from typing import Any

from beartype import beartype

_CHECKED: dict[Any, Any] = {}


def checked(function: Any) -> Any:
    """Return a function or class with its types checked, as beartype does it.

    jaxtyping gives this an empty function for each function of fdl, which has its
    signature and nothing else. One that is defined within another is made anew, and
    wrapped anew, in each call of that one; this takes more time than the checks.
    """
    if isinstance(function, type):
        return beartype(function)
    code, types = function.__code__, function.__annotations__
    key = (function.__module__, function.__qualname__, code, *types.items())
    try:
        hash(key)
    except TypeError:  # a type that is a list, such as that of a callable
        return _when_called(function)
    if key not in _CHECKED:
        _CHECKED[key] = _when_called(function)
    return _CHECKED[key]


def _when_called(function: Any) -> Callable[..., Any]:
    """Ask beartype at the first call: each process imports more than it calls."""
    asked = functools.cache(lambda: beartype(function))
    return functools.wraps(function)(lambda *args, **kwargs: asked()(*args, **kwargs))

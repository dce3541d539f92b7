"""The types and shapes of arguments, checked by beartype."""

from collections.abc import Callable
from typing import Any

from beartype import beartype

_CHECKS: dict[Any, Callable[..., Any]] = {}


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what jaxtyping calls to check arguments, or a result.

    It has the signature of the function that is checked, and no other body. Learners
    and layers define functions anew whenever they are made or traced, and beartype
    compiles a check of each, which took a tenth of the time of all tests: those with
    the same name and signature share one.
    """
    code = function.__code__
    signature = (
        *(function.__module__, function.__qualname__),
        *function.__annotations__.items(),
        *(code.co_varnames, code.co_posonlyargcount, code.co_argcount),
        *(code.co_kwonlyargcount, code.co_flags),
        *(len(function.__defaults__ or ()), *(function.__kwdefaults__ or ())),
    )
    try:
        if signature not in _CHECKS:
            _CHECKS[signature] = beartype(function)
        return _CHECKS[signature]
    except TypeError:  # an annotation that cannot be hashed
        return beartype(function)

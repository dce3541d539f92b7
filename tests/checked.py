"""Run-time checks of argument types and shapes, by beartype."""

from collections.abc import Callable
from typing import Any

from beartype import beartype

_CHECKS: dict[Any, Callable[..., Any]] = {}


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function that jaxtyping calls to check arguments or a result.

    `function` has the signature to check and an empty body. Learners and layers define
    new functions whenever they are created or traced, and beartype compiles a check for
    each, which took a tenth of the time of all tests. Functions with the same name and
    signature therefore share one check.
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

"""Marks for functions that are layers in Keras, for descriptions of models."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")
Watcher = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]

_WATCHER: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


def keras_layer(function: Callable[_Given, _Made]) -> Callable[_Given, _Made]:
    """Mark a function as a Keras layer, so that `watch_layers` intercepts its calls.

    Example:
        >>> @keras_layer
        ... def double(x):
        ...     return 2 * x
        >>> with watch_layers(lambda function, args, kwargs: function.__name__):
        ...     double(1)
        'double'
        >>> double(1)
        2
    """

    @functools.wraps(function)
    def call(*args: _Given.args, **kwargs: _Given.kwargs) -> _Made:
        watcher = _WATCHER.get()
        if watcher is None:
            return function(*args, **kwargs)
        return watcher(function, args, kwargs)

    return call


@contextmanager
def watch_layers(watcher: Watcher) -> Iterator[None]:
    """Call `watcher(function, args, kwargs)` in place of each marked function."""
    token = _WATCHER.set(watcher)
    try:
        yield
    finally:
        _WATCHER.reset(token)

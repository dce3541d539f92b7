"""Objects read from JSON, checked against the types of their class's fields."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union

from fdl.plain import Scalar
from fdl.untrusted import shortened

_WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    types.NoneType: "null",
}


def fields_of(kind: type, said: Any, where: str = "") -> dict[str, Any]:
    """Return the values of a class's fields, with tuples where JSON has lists.

    Fields with a default may be missing, and members that are not fields are ignored.

    Args:
        kind: A dataclass or a named tuple, which may be nested.
        said: The parsed JSON.
        where: Prefix of the names of fields in messages.

    Raises:
        ValueError: If a field is missing, or its value is not of its type.

    Example:
        >>> class Size(typing.NamedTuple):
        ...     sides: tuple[int, ...]
        ...     unit: Literal["mm", "cm"] = "mm"
        >>> fields_of(Size, {"sides": [3, 4]})
        {'sides': (3, 4)}
        >>> fields_of(Size, {"sides": [3, "4"]}, "box.")
        Traceback (most recent call last):
        ...
        ValueError: box.sides=[3, '4'] must be a list, each a whole number
    """
    if not isinstance(said, Mapping):
        raise ValueError(f"{where.rstrip('.')}={_short(said)} must be an object")
    defaults = _defaults(kind)
    values = {}
    for name, wanted in typing.get_type_hints(kind).items():
        if name not in said:
            if name not in defaults:
                raise ValueError(f"{where}{name} is missing")
        elif hasattr(wanted, "_fields"):
            values[name] = wanted(**fields_of(wanted, said[name], f"{where}{name}."))
        elif not _fits(said[name], wanted):
            raise ValueError(
                f"{where}{name}={_short(said[name])} must be {_described(wanted)}"
            )
        else:
            values[name] = _converted(said[name], wanted)
    return values


def _defaults(kind: Any) -> set[str]:
    if not dataclasses.is_dataclass(kind):
        return set(kind._field_defaults)
    missing = dataclasses.MISSING
    return {
        field.name
        for field in dataclasses.fields(kind)
        if field.default is not missing or field.default_factory is not missing
    }


def _fits(value: Any, kind: Any) -> bool:
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return isinstance(value, str) and value in parts
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is tuple:
        if not isinstance(value, list):
            return False
        if parts[1:] == (...,):
            return all(_fits(each, parts[0]) for each in value)
        return len(value) == len(parts) and all(map(_fits, value, parts))
    if origin is dict:
        return isinstance(value, dict) and all(
            # Measured values need not be finite.
            _fits(each, parts[1]) or (parts[1] is float and type(each) is float)
            for each in value.values()
        )
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    if kind in _WORDS:
        return type(value) is kind
    return kind is not Scalar  # which JSON lacks; other types are not checked


def _converted(value: Any, kind: Any) -> Any:
    """Convert a value that fits: lists to tuples, integers to floats if so declared."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        fitting = next(part for part in parts if _fits(value, part))
        return _converted(value, fitting)
    if isinstance(value, list):
        each = parts[0] if origin is tuple and parts else Any
        return tuple(_converted(one, each) for one in value)
    return float(value) if kind is float else value


def _described(kind: Any) -> str:
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return f"one of {', '.join(parts)}"
    if origin in (Union, types.UnionType):
        known = [part for part in parts if _described(part)]
        return " or ".join(_described(part) for part in known)
    if origin is tuple:
        count = "" if parts[1:] == (...,) else f" of {len(parts)}"
        return f"a list{count}, each {_described(parts[0])}"
    if origin is dict:
        return f"an object, each member {_described(parts[1])}"
    return _WORDS.get(kind, "")


def _short(value: Any) -> str:
    return shortened(repr(value), 80)

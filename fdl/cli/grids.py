"""Grids and ranges of a sweep, from words of a command line."""

import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

from fdl.plain import unknown
from fdl.runs.settings import settings
from fdl.runs.space import Range
from fdl.tasks import Config


def read_grid(config: Config, words: Iterable[str]) -> dict[str, list[Any]]:
    """Return the values of `name=value,value,...` words, by setting.

    Values get the type of the default; sizes of several layers are written `400x400`.

    Raises:
        ValueError: If a setting is unknown, or a value is not of its type.

    Example:
        >>> import fdl.tasks
        >>> config = fdl.tasks.find("cnn").config()
        >>> read_grid(config, ["learning-rate=1e-4,1e-3"])
        {'learning_rate': [0.0001, 0.001]}
    """
    grid: dict[str, list[Any]] = {}
    for word in words:
        name, text = _halves(config, word, grid)
        default = settings(config)[name]
        grid[name] = [_read(name, default, value) for value in text.split(",")]
    return grid


def read_ranges(config: Config, words: Iterable[str]) -> dict[str, Range]:
    """Return the ranges of `name=log:low:high` or `name=lin:low:high` words.

    Raises:
        ValueError: If a setting is unknown, or a word is not a range.

    Example:
        >>> import fdl.tasks
        >>> config = fdl.tasks.find("cnn").config()
        >>> read_ranges(config, ["learning-rate=log:1e-4:1e-2"])
        {'learning_rate': Range(low=0.0001, high=0.01, log=True)}
    """
    ranges: dict[str, Range] = {}
    for word in words:
        name, text = _halves(config, word, ranges)
        try:
            kind, low, high = text.split(":")
            log = {"log": True, "lin": False}[kind]
            ranges[name] = Range(float(low), float(high), log)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"{reprlib.repr(word)} is not a range: write {name}=log:LOW:HIGH, with "
                f"LOW above 0, or {name}=lin:LOW:HIGH, and HIGH above LOW."
            ) from error
    return ranges


def _halves(config: Config, word: str, before: Mapping[str, Any]) -> tuple[str, str]:
    name, sign, text = word.partition("=")
    name = name.strip().lstrip("-").replace("-", "_")
    known = settings(config)
    if not sign or not text:
        raise ValueError(f"{reprlib.repr(word)} must have the form NAME=VALUES.")
    if name not in known:
        names = [one.replace("_", "-") for one in known]
        complaint = unknown("setting", name.replace("_", "-"), names)
        raise ValueError(f"task {config.task!r}: {complaint}")
    if name in before:
        raise ValueError(f"{name} is given twice.")
    return name, text


def _read(name: str, default: Any, text: str) -> Any:
    if default is None:  # a number that the default optimizer or schedule lacks
        default = 0.0
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(default, tuple):
            return tuple(int(part) for part in text.split("x"))
        return type(default)(text)
    except (KeyError, ValueError) as error:
        kind = type(default).__name__
        raise ValueError(
            f"{name}={reprlib.repr(text)} is not of type {kind}."
        ) from error

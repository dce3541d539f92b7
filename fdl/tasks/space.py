"""Settings to try: grids, random samples, seeds; and which of them share a program."""

import dataclasses
import itertools
import math
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from fdl.tasks.task import Config

_OF_ALL = ("epochs", "batch_size", "learning_rate", "schedule")


class Range(NamedTuple):
    """What a setting is drawn from.

    Attributes:
        low: Smallest value.
        high: Largest value, above `low`.
        log: Whether its logarithm is uniform, instead of itself.
    """

    low: float
    high: float
    log: bool


class Group(NamedTuple):
    """Members that one program trains, since only numbers and seeds differ.

    Attributes:
        config: The settings of the first of them.
        members: Which they are, by their places in the list.
        hparams: The settings that differ, a value for each member.
    """

    config: Config
    members: Int[np.ndarray, " members"]
    hparams: dict[str, Float[np.ndarray, " members"]]


def settings(config: Config) -> dict[str, Any]:
    """Return all that can be swept over, by name.

    Example:
        >>> import fdl.tasks
        >>> list(settings(fdl.tasks.find("cnn").config()))
        ['epochs', 'batch_size', 'learning_rate', 'schedule']
    """
    options = dataclasses.fields(config.options)
    return {name: getattr(config, name) for name in _OF_ALL} | {
        field.name: getattr(config.options, field.name) for field in options
    }


def change(config: Config, values: Mapping[str, Any]) -> Config:
    """Return settings with some of them changed.

    Raises:
        ValueError: If a value is out of range.

    Example:
        >>> import fdl.tasks
        >>> config = fdl.tasks.find("lstm").config()
        >>> change(config, {"hidden_size": 8}).options.hidden_size
        8
    """
    own = {name: value for name, value in values.items() if name not in _OF_ALL}
    rest = {name: value for name, value in values.items() if name in _OF_ALL}
    options = dataclasses.replace(config.options, **own)
    return dataclasses.replace(config, options=options, **rest)


def read_grid(config: Config, words: Iterable[str]) -> dict[str, list[Any]]:
    """Return the values of `name=value,value,...` words, by setting.

    Values have the type of the default; sizes of several layers read `400x400`.

    Raises:
        ValueError: If there is no such setting, or a value is not of its type.

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
        known = typing.get_args(typing.get_type_hints(type(config.options)).get(name))
        if isinstance(default, str) and known and not set(known) >= set(grid[name]):
            raise ValueError(f"{word!r}: {name} is one of {', '.join(known)}.")
        if len(set(grid[name])) < len(grid[name]):
            raise ValueError(f"{word!r} names a value twice.")
    return grid


def read_ranges(config: Config, words: Iterable[str]) -> dict[str, Range]:
    """Return the ranges of `name=log:low:high` or `name=lin:low:high` words.

    Raises:
        ValueError: If there is no such setting, it is no number, or its range is none.

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
            found = Range(float(low), float(high), kind == "log")
        except ValueError:
            found, kind = Range(math.nan, math.nan, False), ""
        bounded = -math.inf < found.low < found.high < math.inf
        if kind not in ("log", "lin") or not bounded or (found.log and found.low <= 0):
            raise ValueError(
                f"{word!r} is no range: write {name}=log:LOW:HIGH, with LOW above 0, "
                f"or {name}=lin:LOW:HIGH, and HIGH above LOW."
            )
        if type(settings(config)[name]) not in (int, float):
            raise ValueError(f"{name} is no number to draw from a range: use a grid.")
        ranges[name] = found
    return ranges


def combine(
    config: Config,
    *,
    grid: Mapping[str, Sequence[Any]],
    ranges: Mapping[str, Range],
    samples: int,
    seeds: int,
) -> list[Config]:
    """Return the members of a sweep: each point of a grid, for each sample and seed.

    Seeds count up from the config's own; samples are drawn from it too (Bergstra &
    Bengio, 2012, Random search). The seeds of a configuration follow each other.

    Raises:
        ValueError: If a number is below 1, samples and ranges do not fit, a setting
            is in both, or a value is out of range.

    Example:
        >>> import fdl.tasks
        >>> config = fdl.tasks.find("cnn").config()
        >>> grid = {"learning_rate": [1e-4, 1e-3]}
        >>> members = combine(config, grid=grid, ranges={}, samples=1, seeds=3)
        >>> [(one.learning_rate, one.seed) for one in members][2:4]
        [(0.0001, 2), (0.001, 0)]
    """
    for name, number in (("samples", samples), ("seeds", seeds)):
        if number < 1:
            raise ValueError(f"{name}={number} must be at least 1.")
    if samples > 1 and not ranges:
        raise ValueError(f"samples={samples} has nothing to draw: give a range.")
    if both := grid.keys() & ranges.keys():
        raise ValueError(
            f"{', '.join(sorted(both))}: give a grid or a range, not both."
        )
    rng = np.random.default_rng(config.seed)
    drawn = [
        {name: _draw(rng, config, name, one) for name, one in ranges.items()}
        for _ in range(samples)
    ]
    points = [
        dict(zip(grid, values, strict=True))
        for values in itertools.product(*grid.values())
    ]
    return [
        dataclasses.replace(change(config, point | sample), seed=config.seed + seed)
        for point in points
        for sample in drawn
        for seed in range(seeds)
    ]


def varied(configs: Sequence[Config]) -> list[str]:
    """Return the names of the settings that are not the same for all.

    Example:
        >>> import fdl.tasks
        >>> config = fdl.tasks.find("cnn").config()
        >>> varied([config, change(config, {"batch_size": 8})])
        ['batch_size']
    """
    each = [settings(config) for config in configs]
    return [name for name in each[0] if len({one[name] for one in each}) > 1]


def configurations(configs: Sequence[Config]) -> list[int]:
    """Return a number for each member, the same where only the seed differs.

    Example:
        >>> import fdl.tasks
        >>> task = fdl.tasks.find("cnn")
        >>> configurations([task.config(), task.config(seed=1), task.config(epochs=2)])
        [0, 0, 1]
    """
    places: dict[Config, int] = {}
    plain = [dataclasses.replace(config, seed=0) for config in configs]
    return [places.setdefault(config, len(places)) for config in plain]


def groups(configs: Sequence[Config]) -> list[Group]:
    """Return the members that can share a program: as few groups as there are shapes.

    Settings that are floating-point numbers become arguments of the program; any other
    may change shapes, or how many steps there are.

    Example:
        >>> import fdl.tasks
        >>> task = fdl.tasks.find("lstm")
        >>> rates = [task.config(learning_rate=rate) for rate in (1e-4, 1e-3)]
        >>> wide = [change(config, {"hidden_size": 256}) for config in rates]
        >>> [group.members.tolist() for group in groups([*rates, *wide])]
        [[0, 1], [2, 3]]
    """
    first = settings(configs[0])
    numbers = [name for name in varied(configs) if isinstance(first[name], float)]
    same = {name: first[name] for name in numbers}
    found: dict[Config, list[int]] = {}
    for place, config in enumerate(configs):
        plain = dataclasses.replace(change(config, same), seed=0)
        found.setdefault(plain, []).append(place)
    return [
        Group(
            configs[members[0]],
            np.array(members),
            {
                name: np.array([settings(configs[k])[name] for k in members])
                for name in numbers
            },
        )
        for members in found.values()
    ]


def _halves(config: Config, word: str, before: Mapping[str, Any]) -> tuple[str, str]:
    name, sign, text = word.partition("=")
    name = name.strip().lstrip("-").replace("-", "_")
    known = settings(config)
    if not sign or not text:
        raise ValueError(f"{word!r} must read NAME=VALUES.")
    if name not in known:
        names = ", ".join(known).replace("_", "-")
        raise ValueError(f"task {config.task!r} has no setting {name!r}: {names}.")
    if name in before:
        raise ValueError(f"{name} is given twice.")
    return name, text


def _read(name: str, default: Any, text: str) -> Any:
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(default, tuple):
            return tuple(int(part) for part in text.split("x"))
        return type(default)(text)
    except (KeyError, ValueError) as error:
        kind = type(default).__name__
        raise ValueError(f"{name}={text!r} is no {kind}.") from error


def _draw(rng: np.random.Generator, config: Config, name: str, range: Range) -> Any:
    low, high = (math.log(x) if range.log else x for x in (range.low, range.high))
    value = float(rng.uniform(low, high))
    value = math.exp(value) if range.log else value
    return type(settings(config)[name])(value)

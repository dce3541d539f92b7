"""The members of a sweep: grids, random samples, seeds; and which share a program."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from fdl.plain import unknown
from fdl.runs.settings import change, settings
from fdl.tasks import Config


@dataclasses.dataclass(frozen=True)
class Range:
    """The range that a setting is drawn from.

    Attributes:
        low: Smallest value; above 0 with `log`.
        high: Largest value, above `low`.
        log: Whether to draw uniformly on a logarithmic scale.

    Raises:
        ValueError: If the numbers are not a range.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        """Check the numbers."""
        finite = math.isfinite(self.high - self.low)
        if not (finite and -math.inf < self.low < self.high < math.inf):
            raise ValueError(
                f"{self} must go from a finite number to a larger finite number."
            )
        if self.log and self.low <= 0:
            raise ValueError(f"{self} must begin above 0, since its scale is log.")


_MOST_MEMBERS = 100_000
_MOST_EPOCHS = 10_000_000  # in total; a row for each is kept in memory


class Group(NamedTuple):
    """Members that one program trains, since only numbers and seeds differ.

    Attributes:
        config: The settings of the first member.
        members: Indices of the members.
        hparams: The settings that are hyperparameters, with a value for each member.
    """

    config: Config
    members: Int[np.ndarray, " members"]
    hparams: dict[str, Float[np.ndarray, " members"]]


def combine(
    config: Config,
    *,
    grid: Mapping[str, Sequence[Any]],
    ranges: Mapping[str, Range],
    samples: int,
    seeds: int,
) -> list[Config]:
    """Return the members of a sweep: each point of a grid, for each sample and seed.

    Seeds count up from the config's own, which also seeds the samples (Bergstra &
    Bengio, 2012, Random search). The seeds of a configuration are adjacent.

    Raises:
        ValueError: If a number is below 1, there are samples without ranges, a setting
            is unknown, in both grid and ranges, has no or duplicate values, or is not a
            number to draw, a value is out of range, or there are too many members or
            epochs.

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
        raise ValueError(f"samples={samples} has nothing to draw: add a range.")
    if both := grid.keys() & ranges.keys():
        raise ValueError(f"{', '.join(sorted(both))}: use a grid or a range, not both.")
    _check(config, grid, ranges)
    count = math.prod(map(len, grid.values())) * samples * seeds
    if count > _MOST_MEMBERS:
        raise ValueError(
            f"seeds={_short(seeds)}, samples={_short(samples)} and the values of the "
            f"grid make more than the {_MOST_MEMBERS:,} members that a sweep may have: "
            "use fewer."
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
    members = [
        dataclasses.replace(change(config, point | sample), seed=config.seed + seed)
        for point in points
        for sample in drawn
        for seed in range(seeds)
    ]
    if sum(one.epochs for one in members) > _MOST_EPOCHS:
        most = max(one.epochs for one in members)
        raise ValueError(
            f"epochs={_short(most)} for {len(members):,} members exceed the limit of "
            f"{_MOST_EPOCHS:,} epochs in total: use fewer."
        )
    return members


def varied(configs: Sequence[Config]) -> list[str]:
    """Return the names of the settings that differ.

    Example:
        >>> import fdl.tasks
        >>> config = fdl.tasks.find("cnn").config()
        >>> varied([config, change(config, {"batch_size": 8})])
        ['batch_size']
    """
    each = [settings(config) for config in configs]
    names = each[0] if each else ()
    return [name for name in names if len({one[name] for one in each}) > 1]


def configurations(configs: Sequence[Config]) -> list[int]:
    """Return a number for each member, equal if only the seed differs.

    Example:
        >>> import fdl.tasks
        >>> task = fdl.tasks.find("cnn")
        >>> configurations([task.config(), task.config(seed=1), task.config(epochs=2)])
        [0, 0, 1]
    """
    places: dict[Config, int] = {}
    plain = [dataclasses.replace(config, seed=0) for config in configs]
    return [places.setdefault(config, len(places)) for config in plain]


def tuned(configs: Sequence[Config]) -> list[str]:
    """Return the names of the settings that are hyperparameters in the state.

    These are the learning rate, and all other floating-point settings that differ; the
    rest may change shapes, or the number of steps.

    Example:
        >>> import fdl.tasks
        >>> config = fdl.tasks.find("lstm").config()
        >>> tuned([config, change(config, {"dropout_rate": 0.1, "hidden_size": 8})])
        ['learning_rate', 'dropout_rate']
    """
    each, differ = [settings(config) for config in configs], varied(configs)
    return [
        name
        for name in each[0]
        if name == "learning_rate"
        or (name in differ and all(isinstance(one[name], float) for one in each))
    ]


def groups(
    configs: Sequence[Config], members: Sequence[int] | None = None
) -> list[Group]:
    """Group the members that can share a program.

    Args:
        configs: The settings of all members.
        members: Indices of the members to group; None for all.

    Example:
        >>> import fdl.tasks
        >>> task = fdl.tasks.find("lstm")
        >>> rates = [task.config(learning_rate=rate) for rate in (1e-4, 1e-3)]
        >>> wide = [change(config, {"hidden_size": 256}) for config in rates]
        >>> [group.members.tolist() for group in groups([*rates, *wide])]
        [[0, 1], [2, 3]]
    """
    members = range(len(configs)) if members is None else members
    values = {k: settings(configs[k]) for k in members}
    numbers = tuned(configs)
    found: dict[Config, list[int]] = {}
    for k in members:
        same = {name: values[members[0]][name] for name in numbers}
        plain = dataclasses.replace(change(configs[k], same), seed=0)
        found.setdefault(plain, []).append(k)
    return [
        Group(
            configs[inside[0]],
            np.array(inside),
            {name: np.array([values[k][name] for k in inside]) for name in numbers},
        )
        for inside in found.values()
    ]


def _check(
    config: Config, grid: Mapping[str, Sequence[Any]], ranges: Mapping[str, Range]
) -> None:
    """Raise ValueError for settings that cannot be swept over."""
    known = settings(config)
    for name in (*grid, *ranges):
        if name not in known:
            raise ValueError(f"task {config.task!r}: {unknown('setting', name, known)}")
    for name, values in grid.items():
        if not values or len(set(values)) < len(values):
            raise ValueError(
                f"{name}={list(values)} must have one or more values, without "
                "duplicates."
            )
    for name in ranges:
        if type(known[name]) not in (int, float, type(None)):
            raise ValueError(
                f"{name} is not a number and cannot be drawn from a range: use a grid."
            )


def _short(number: int) -> str:
    """Format a number, or "..." if it is very long."""
    return f"{number:,}" if number < 10**15 else "..."


def _draw(rng: np.random.Generator, config: Config, name: str, range: Range) -> Any:
    low, high = (math.log(x) if range.log else x for x in (range.low, range.high))
    value = float(rng.uniform(low, high))
    value = math.exp(value) if range.log else value
    default = settings(config)[name]
    return value if default is None else type(default)(value)

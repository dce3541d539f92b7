"""The search of a sweep, as its `config.json` stores it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fdl.plain import Strategy
from fdl.runs.space import Range, combine
from fdl.tasks import Config


class Search(NamedTuple):
    """The settings that a sweep tries, and how; see `fdl.runs.sweep`."""

    grid: Mapping[str, Sequence[Any]]
    ranges: Mapping[str, Range]
    samples: int
    seeds: int
    halving: bool
    strategy: Strategy | None
    members_per_chunk: int | None

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Search":
        """Return the search that `to_json` wrote.

        Raises:
            KeyError: If a key is missing.
            TypeError: If a value has the wrong type.
            ValueError: If a number is out of range.
        """
        tuples = lambda value: tuple(value) if isinstance(value, list) else value
        given = {name: said[name] for name in cls._fields}
        return cls(**given)._replace(
            grid={k: [tuples(x) for x in values] for k, values in said["grid"].items()},
            ranges={name: Range(**one) for name, one in said["ranges"].items()},
        )

    def to_json(self) -> dict[str, Any]:
        """Return the search as JSON."""
        return self._asdict() | {
            "grid": {name: list(values) for name, values in self.grid.items()},
            "ranges": {k: dataclasses.asdict(one) for k, one in self.ranges.items()},
        }

    def members(self, config: Config) -> list[Config]:
        """Return the settings of each member; see `fdl.runs.space.combine`."""
        return combine(
            config,
            grid=self.grid,
            ranges=self.ranges,
            samples=self.samples,
            seeds=self.seeds,
        )

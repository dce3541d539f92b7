"""`fdl compare`."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import tyro
from rich.table import Table

from fdl.cli.command import Command, out, shown
from fdl.metrics import paired_difference, seeds_needed, summarize
from fdl.train import RunError

Folder = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]


@dataclasses.dataclass(frozen=True)
class Compare(Command):
    """Compare two configurations over the same seeds: who is better, and by how much.

    Each is a folder of `fdl sweep TASK --seeds N` with one configuration. Differences
    are taken seed by seed, which leaves out what the seeds have in common.

    Attributes:
        run_a: The one.
        run_b: The other; differences are its measure minus that of the one.
        picture: PNG file of the differences.
    """

    run_a: Folder
    run_b: Folder
    picture: Path = Path("comparison.png")

    def __call__(self) -> None:
        """Compare."""
        a, b = (_read(path) for path in (self.run_a, self.run_b))
        if a.metric != b.metric:
            raise RunError(
                f"{self.run_a} measured {a.metric} and {self.run_b} {b.metric}: they "
                "cannot be compared."
            )
        seeds = sorted(a.values.keys() & b.values.keys())
        if len(seeds) < 2:
            raise RunError(
                f"{self.run_a} and {self.run_b} have {len(seeds)} seeds in common: a "
                "comparison takes two or more."
            )
        first, second = (np.array([x.values[seed] for seed in seeds]) for x in (a, b))
        found = paired_difference(first, second)
        word = lambda value: shown(a.metric, value)
        table = Table("", "seeds", a.metric, "sd", "95 % of the mean", "range")
        for path, values in ((self.run_a, first), (self.run_b, second)):
            one = summarize(values)
            table.add_row(
                path.name,
                str(one.seeds),
                word(one.mean),
                word(one.sd),
                f"{word(one.low)} to {word(one.high)}",
                f"{word(one.smallest)} to {word(one.largest)}",
            )
        out.print(table)
        names = self.run_a.name, self.run_b.name
        out.print(
            f"{names[1]} minus {names[0]}: {word(found.mean)} "
            f"(95 %: {word(found.low)} to {word(found.high)}) over {found.seeds} seeds",
            soft_wrap=True,
        )
        out.print(_verdict(found.low, found.high, *names, a.mode), soft_wrap=True)
        if found.sd > 0 and found.mean != 0:
            count = seeds_needed(found.sd, found.mean)
            out.print(f"A difference of this size takes {count} seeds to see, at 80 %.")
        from fdl import report  # matplotlib takes half a second, wanted only here

        report.draw_differences(
            self.picture,
            second - first,
            found.low,
            found.high,
            title=f"{names[1]} minus {names[0]}",
            measure=a.metric,
        )
        out.print(f"picture  {self.picture}", soft_wrap=True)


class _Sweep(NamedTuple):
    metric: str
    mode: str
    values: dict[int, float]


def _read(path: Path) -> _Sweep:
    file = path / "result.json"
    try:
        result: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        configurations = result["configurations"]
        metric, mode = result["metric"], result["mode"]
        (one,) = configurations[:1]
        values = dict(zip(one["seeds"], one["values"], strict=True))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{path} is no finished sweep: compare folders of `fdl sweep`."
        ) from error
    if len(configurations) > 1:
        raise RunError(
            f"{path} has {len(configurations)} configurations: compare sweeps of one "
            "each, over seeds that did not choose it."
        )
    return _Sweep(metric, mode, values)


def _verdict(low: float, high: float, a: str, b: str, mode: str) -> str:
    if low <= 0 <= high:
        return "These seeds do not tell which is better: the interval contains 0."
    better = b if (low > 0) == (mode == "max") else a
    return f"{better} is better: the interval does not contain 0."

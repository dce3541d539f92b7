"""Which configuration is best: the one rule by which sweeps choose.

Sweeps choose on the validation part of the data alone; the test set is measured once,
at the end, for what was chosen. A sweep over seeds alone chooses nothing, and measures
it for all of them.

Fewer diverged seeds come before more; among equally many, what was trained to a larger
share of its epochs comes first; then the better mean, over the seeds that stayed
finite. So a configuration with a diverged seed is behind every one without. Halving,
tables and the choice of the best member all follow this rule.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from fdl.metrics import Summary, summarize
from fdl.runs.part import Row

Split = Literal["validation", "test"]
"""A part of the data that sweeps measure on."""


def column(metric: str, part: Split = "validation") -> str:
    """Return the name of a metric in rows: of the part of the data that it is of.

    Example:
        >>> column("accuracy")
        'validation_accuracy'
    """
    return f"{part}_{metric}"


class Outcome(NamedTuple):
    """What became of a configuration.

    Attributes:
        number: Its number, from 0.
        settings: Those of its settings that are not the same for all.
        epochs: Passes over the data that it was given.
        share: These, as a share of what its settings ask for; below 1 where halving
            stopped it.
        seeds: The seeds that stayed finite.
        values: The metric on the validation part after the last epoch, one for each of
            these seeds; empty if nothing was held out.
        diverged: Number of seeds that did not.
        summary: Of these values; None if there are none.
        test_values: The metric on the test set, one for each of these seeds; empty for
            configurations that were not chosen.
        test: Summary of these; None if there are none.
    """

    number: int
    settings: dict[str, Any]
    epochs: int
    share: float
    seeds: list[int]
    values: list[float]
    diverged: int
    summary: Summary | None
    test_values: list[float]
    test: Summary | None


class Sweep(NamedTuple):
    """What came out of a sweep.

    Attributes:
        path: Its folder.
        metric: What tells how good a member is.
        mode: Whether the largest is the best (`"max"`) or the smallest (`"min"`).
        outcomes: What became of each configuration, the best first.
        best: Folder of the best member of the best configuration, for `fdl.load`; None
            if all diverged, or nothing was held out to choose by.
        test: What the best member reached on the test set, by name; empty if there is
            none.
        rows: What was measured, a row for each member and epoch.
    """

    path: Path
    metric: str
    mode: Literal["max", "min"]
    outcomes: list[Outcome]
    best: Path | None
    test: dict[str, float]
    rows: list[Row]

    def __repr__(self) -> str:
        """Return where it is, how large, and what the best reached."""
        reached = "".join(f", test {k} {x:.4g}" for k, x in self.test.items())
        count = len(self.outcomes)
        return f"Sweep({str(self.path)!r}: {count} configurations{reached})"


def outcome(
    number: int,
    settings: dict[str, Any],
    epochs: int,
    last: Sequence[Row],
    metric: str,
) -> Outcome:
    """Return what became of a configuration.

    Args:
        number: Its number.
        settings: Its settings.
        epochs: What they ask for.
        last: The last row of each of its members that has one.
        metric: What tells how good a member is.
    """
    good = [row for row in last if row["diverged"] < 0]
    values, test_values = (
        [row[name] for row in good if name in row]
        for name in (column(metric), column(metric, "test"))
    )
    made = max((row["epoch"] for row in last), default=0)
    return Outcome(
        number=number,
        settings=settings,
        epochs=made,
        share=made / epochs,
        seeds=[row["seed"] for row in good],
        values=values,
        diverged=sum(row["diverged"] >= 0 for row in last),
        summary=_summary(values),
        test_values=test_values,
        test=_summary(test_values),
    )


def _summary(values: Sequence[float]) -> Summary | None:
    return summarize(np.array(values)) if values else None


def order(value: float, mode: Literal["max", "min"]) -> float:
    """Return what sorts a value of a metric, the best first and NaN last.

    Example:
        >>> sorted([0.5, math.nan, 0.9], key=lambda value: order(value, "max"))
        [0.9, 0.5, nan]
    """
    if math.isnan(value):
        return math.inf
    return -value if mode == "max" else value


def ranked(outcomes: Iterable[Outcome], mode: Literal["max", "min"]) -> list[Outcome]:
    """Return configurations, the best first."""

    def place(one: Outcome) -> tuple[int, float, float]:
        mean = math.nan if one.summary is None else one.summary.mean
        return one.diverged, -one.share, order(mean, mode)

    return sorted(outcomes, key=place)

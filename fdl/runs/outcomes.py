"""The rule by which sweeps rank configurations.

Sweeps choose by the validation part of the data alone; the test set is used once, at
the end, for the configuration that was chosen. A sweep over seeds alone chooses
nothing, and evaluates all of them on the test set.

Fewer diverged seeds rank first; then the larger share of the epochs trained; then the
better mean over the seeds that stayed finite. So a configuration with a diverged seed
ranks behind every one without. Halving, tables and the choice of the best member all
follow this rule.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from fdl.metrics import Summary, summarize
from fdl.runs.part import Row

Split = Literal["validation", "test"]
"""A part of the data that sweeps evaluate on."""


def column(metric: str, part: Split = "validation") -> str:
    """Return the name of a metric's column, which includes the part of the data.

    Example:
        >>> column("accuracy")
        'validation_accuracy'
    """
    return f"{part}_{metric}"


class Outcome(NamedTuple):
    """The outcome of a configuration.

    Attributes:
        number: Its number, from 0.
        settings: Those of its settings that differ between configurations.
        epochs: Number of passes over the data that it was trained for.
        share: The same as a share of the epochs in its settings; below 1 if halving
            stopped it.
        seeds: The seeds that stayed finite.
        values: The metric on the validation part after the last epoch, for each of
            these seeds; empty if nothing was held out.
        diverged: Number of seeds that diverged.
        summary: Summary of `values`; None if there are none.
        test_values: The metric on the test set, for each of these seeds; empty for
            configurations that were not chosen.
        test: Summary of `test_values`; None if there are none.
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
    """The result of a sweep.

    Attributes:
        path: Its folder.
        metric: Name of the metric to rank by.
        mode: Whether the largest is the best (`"max"`) or the smallest (`"min"`).
        outcomes: The outcome of each configuration, the best first.
        best: Folder of the best member of the best configuration, for `fdl.load`; None
            if all diverged, or nothing was held out to choose by.
        test: Test metrics of the best member by name; empty if there is none.
        rows: Metrics, a row for each member and epoch.
    """

    path: Path
    metric: str
    mode: Literal["max", "min"]
    outcomes: list[Outcome]
    best: Path | None
    test: dict[str, float]
    rows: list[Row]

    def __repr__(self) -> str:
        """Return its folder, its size, and the test metrics of the best member."""
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
    """Return the outcome of a configuration.

    Args:
        number: Its number.
        settings: Its settings.
        epochs: The number of epochs in its settings.
        last: The last row of each of its members that has one.
        metric: Name of the metric to rank by.
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
    """Return a key that sorts values of a metric, the best first and NaN last.

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

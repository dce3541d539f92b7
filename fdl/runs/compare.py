"""Compare two configurations over the same seeds."""

from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float

from fdl.metrics import Difference, Summary, paired_difference, seeds_needed, summarize
from fdl.runs.errors import RunError
from fdl.runs.folder import RunFolder

Mode = Literal["max", "min"]

_LARGEST = 1e100  # its square is still finite


class Comparison(NamedTuple):
    """A paired comparison of two sweeps.

    Attributes:
        metric: Name of the metric.
        names: Names of the two sweeps' folders.
        seeds: The seeds that stayed finite in both.
        summaries: The metric of each sweep, over these seeds.
        diverged: Number of diverged seeds in each.
        differences: The second minus the first, for each of these seeds.
        difference: Their mean, with its confidence interval.
        better: Name of the better sweep: the one with fewer diverged seeds, or else the
            one that the interval favors; None if it contains 0.
        seeds_needed: Number of seeds needed to detect a difference of this size with a
            power of 80 %; None if the difference is zero or the same for every seed.
    """

    metric: str
    names: tuple[str, str]
    seeds: tuple[int, ...]
    summaries: tuple[Summary, Summary]
    diverged: tuple[int, int]
    differences: Float[np.ndarray, " seeds"]
    difference: Difference
    better: str | None
    seeds_needed: int | None


class _Measured(NamedTuple):
    """The results of a sweep of one configuration, from its folder."""

    metric: str
    mode: Mode
    values: dict[int, float]
    diverged: int


def compare(first: Path | str, second: Path | str) -> Comparison:
    """Compare two sweeps of one configuration each, seed by seed.

    The metric on the test set is compared for each seed, which cancels the variation
    that both sweeps share.

    Args:
        first: Folder of a sweep with one configuration.
        second: Folder of another one, over some of the same seeds.

    Raises:
        RunError: If a folder holds no such sweep, or the two cannot be compared.
    """
    first, second = Path(first), Path(second)
    a, b = _read(first), _read(second)
    if a.metric != b.metric:
        raise RunError(
            f"{first} measured {a.metric} and {second} {b.metric}: they cannot be "
            "compared."
        )
    seeds = sorted(a.values.keys() & b.values.keys())
    if len(seeds) < 2:
        raise RunError(
            f"{first} and {second} have {len(seeds)} seeds in common: a comparison "
            "needs two or more."
        )
    values_a, values_b = (np.array([one.values[x] for x in seeds]) for one in (a, b))
    found = paired_difference(values_a, values_b)
    names = first.name, second.name
    visible = found.sd > 0 and found.mean != 0
    return Comparison(
        metric=a.metric,
        names=names,
        seeds=tuple(seeds),
        summaries=(summarize(values_a), summarize(values_b)),
        diverged=(a.diverged, b.diverged),
        differences=values_b - values_a,
        difference=found,
        better=_better(a, b, found, names),
        seeds_needed=seeds_needed(found.sd, found.mean) if visible else None,
    )


def _better(
    a: _Measured, b: _Measured, found: Difference, names: tuple[str, str]
) -> str | None:
    if a.diverged != b.diverged:
        return names[b.diverged < a.diverged]
    if found.low <= 0 <= found.high:
        return None
    return names[(found.low > 0) == (a.mode == "max")]


def _read(path: Path) -> _Measured:
    again = f"`fdl sweep --run {path}` writes it again."
    try:
        result: dict[str, Any] = RunFolder(path).result() or {}
    except RunError as error:
        raise RunError(f"{error} {again}") from error
    try:
        configurations = result["configurations"]
        (one,) = configurations[:1]
        seeds, values, diverged = one["seeds"], one["test_values"], one["diverged"]
        found = _Measured(
            result["metric"],
            result["mode"],
            dict(zip(seeds, values, strict=True)),
            diverged,
        )
        good = (
            all(type(number) is int for number in (*seeds, diverged))
            and all(type(value) in (int, float) for value in values)
            and type(found.metric) is str
            and found.mode in get_args(Mode)
        )
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise RunError(
            f"{path} is not a finished sweep: pass folders of `fdl sweep`."
        ) from error
    if not (good and all(abs(x) < _LARGEST for x in found.values.values())):
        raise RunError(
            f"{path / 'result.json'} is damaged: its seeds or test values are not "
            f"valid numbers. {again}"
        )
    if len(configurations) > 1:
        raise RunError(
            f"{path} has {len(configurations)} configurations: compare sweeps of one "
            "configuration each, over seeds that were not used to choose it."
        )
    return found

"""Statistics over seeds: means with intervals, and differences of configurations."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

Values = Float[np.ndarray, " seeds"]


class Summary(NamedTuple):
    """A metric over seeds.

    Attributes:
        seeds: Number of seeds.
        mean: Mean of the values.
        sd: Standard deviation, with `seeds - 1`; NaN for one seed.
        low: Lower end of the interval of the mean; NaN for one seed.
        high: Upper end of the interval; NaN for one seed.
        smallest: The smallest value.
        largest: The largest value.
    """

    seeds: int
    mean: float
    sd: float
    low: float
    high: float
    smallest: float
    largest: float


class Difference(NamedTuple):
    """Paired difference of a metric between two configurations.

    Attributes:
        seeds: Number of pairs of runs.
        mean: Mean of the differences.
        sd: Standard deviation of the differences, with `seeds - 1`.
        low: Lower end of the interval of the mean difference.
        high: Upper end of the interval.
    """

    seeds: int
    mean: float
    sd: float
    low: float
    high: float


def summarize(values: Values, *, level: float = 0.95) -> Summary:
    """Return a metric's mean over seeds, with a bootstrap interval (Efron, 1987).

    The interval is bias-corrected and accelerated (BCa), from 9,999 resamples drawn
    with a fixed seed.

    Args:
        values: The metric for each seed, all finite.
        level: Confidence level, in (0, 1).

    Raises:
        ValueError: If there are no values, one is not finite, or `level` is out of
            range.

    Example:
        >>> found = summarize(np.array([0.97, 0.98, 0.985, 0.99]))
        >>> round(found.mean, 4), round(found.low, 3), round(found.high, 3)
        (0.9812, 0.972, 0.988)
    """
    values = _checked(values, level)
    low, high = _interval(values, level)
    return Summary(
        seeds=len(values),
        mean=float(np.mean(values)),
        sd=_deviation(values),
        low=low,
        high=high,
        smallest=float(np.min(values)),
        largest=float(np.max(values)),
    )


def paired_difference(
    a: Values, b: Float[np.ndarray, " others"], *, level: float = 0.95
) -> Difference:
    """Return the mean of `b - a`, seed by seed, with a bootstrap interval.

    Args:
        a: The metric of one configuration for each seed.
        b: The metric of the other, for the same seeds in the same order.
        level: As in `summarize`.

    Raises:
        ValueError: If there are fewer than two values, their numbers differ, or `level`
            is out of range.

    Example:
        >>> a = np.array([0.970, 0.975, 0.980, 0.972])
        >>> found = paired_difference(a, a + np.array([0.003, 0.004, 0.002, 0.004]))
        >>> round(found.mean, 5), bool(found.low > 0)
        (0.00325, True)
    """
    if len(a) != len(b) or len(a) < 2:
        raise ValueError(
            f"there are {len(a)} and {len(b)} values, but a paired comparison needs "
            "the same seeds for both, at least two."
        )
    gained = _checked(np.subtract(b, a, dtype=np.float64), level)
    low, high = _interval(gained, level)
    mean = float(np.mean(gained))
    return Difference(len(gained), mean, _deviation(gained), low, high)


def seeds_needed(
    sd: float, effect: float, *, power: float = 0.8, level: float = 0.95
) -> int:
    """Return how many paired seeds are needed to detect an effect (Student's t test).

    Args:
        sd: Standard deviation of the differences between pairs, above 0.
        effect: The mean difference to detect, not 0.
        power: Probability of detecting it, in (0, 1).
        level: One minus the probability of a false detection, in (0, 1).

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> seeds_needed(sd=0.002, effect=0.002)
        10
    """
    from scipy import stats  # takes half a second, needed only here

    if not (sd > 0 and math.isfinite(effect) and effect != 0):
        raise ValueError(f"sd={sd} must be above 0, and effect={effect} must not be 0.")
    if not (0 < power < 1 and 0 < level < 1):
        raise ValueError(f"power={power} and level={level} must be in (0, 1).")

    def seen(count: int) -> bool:
        limit = stats.t.ppf((1 + level) / 2, count - 1)
        shift = abs(effect) / sd * math.sqrt(count)
        return bool(stats.nct.sf(limit, count - 1, shift) >= power)

    most = 2
    while not seen(most):
        most *= 2
        if most > 2**30:
            raise ValueError(f"effect={effect} is too small to detect with sd={sd}.")
    least = most // 2  # too few, unless it is 1
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if seen(middle) else (middle, most)
    return most


def _checked(values: Values, level: float) -> Values:
    values = np.asarray(values, np.float64)
    if len(values) == 0 or not np.isfinite(values).all():
        raise ValueError(f"values={values} must be one or more finite numbers.")
    if not 0 < level < 1:
        raise ValueError(f"level={level} must be in (0, 1).")
    return values


def _deviation(values: Values) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def _interval(values: Values, level: float) -> tuple[float, float]:
    from scipy import stats  # takes half a second, needed only here

    if len(values) < 2:
        return math.nan, math.nan
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    found = stats.bootstrap(
        (values,), np.mean, confidence_level=level, rng=np.random.default_rng(0)
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)

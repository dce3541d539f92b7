"""Summaries over seeds, paired differences, and the number of seeds needed."""

import math

import numpy as np
import pytest
from scipy import stats

from fdl.metrics import paired_difference, seeds_needed, summarize


def test_summary_of_known_numbers() -> None:
    found = summarize(np.array([1.0, 2.0, 3.0, 6.0]))
    assert (found.seeds, found.mean) == (4, 3.0)
    assert found.sd == pytest.approx(math.sqrt((4 + 1 + 0 + 9) / 3))
    assert (found.smallest, found.largest) == (1.0, 6.0)
    assert found.smallest < found.low < found.mean < found.high < found.largest
    assert found == summarize(np.array([1.0, 2.0, 3.0, 6.0])), "deterministic"


def test_intervals_cover_the_mean_at_their_level() -> None:
    rng = np.random.default_rng(0)
    found = [summarize(rng.normal(size=20)) for _ in range(200)]
    coverage = np.mean([one.low <= 0 <= one.high for one in found])
    assert 0.88 <= coverage <= 0.99
    narrow = [summarize(rng.normal(size=20), level=0.5) for _ in range(200)]
    assert 0.35 <= np.mean([one.low <= 0 <= one.high for one in narrow]) <= 0.6


def test_one_seed_has_no_interval_and_equal_seeds_an_empty_one() -> None:
    one = summarize(np.array([0.9]))
    assert one.mean == one.smallest == one.largest == 0.9
    assert math.isnan(one.sd)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    same = summarize(np.full(5, 0.9))
    assert same.low == same.high == 0.9
    assert same.sd == pytest.approx(0)


def test_pairing_removes_the_variance_that_seeds_share() -> None:
    rng = np.random.default_rng(0)
    common = rng.normal(size=10)
    a, b = common, common + 0.1 + rng.normal(scale=0.02, size=10)
    found = paired_difference(a, b)
    assert found.seeds == 10
    assert found.mean == pytest.approx(np.mean(b - a))
    assert found.low > 0
    shuffled = paired_difference(a, rng.permutation(b))
    assert shuffled.low < 0 < shuffled.high
    back = paired_difference(b, a)
    assert back.mean == pytest.approx(-found.mean)


@pytest.mark.parametrize("effect", [0.5, 1.0, -2.0])
def test_seeds_needed_reach_the_requested_power(effect) -> None:
    count = seeds_needed(1.0, effect, power=0.8)
    rng = np.random.default_rng(0)

    def power(count: int) -> float:
        draws = rng.normal(effect, 1.0, (4000, count))
        return np.mean(stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05)

    assert 0.78 <= power(count) <= 0.93
    assert power(count - 1) < 0.82


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: summarize(np.array([])), "one or more"),
        (lambda: summarize(np.array([1.0, np.nan])), "finite"),
        (lambda: summarize(np.array([1.0]), level=1.0), "level=1.0"),
        (lambda: paired_difference(np.ones(3), np.ones(2)), "3 and 2 values"),
        (lambda: paired_difference(np.ones(1), np.ones(1)), "at least two"),
        (lambda: seeds_needed(0.0, 1.0), "sd=0.0"),
        (lambda: seeds_needed(1.0, 0.0), "effect=0.0"),
        (lambda: seeds_needed(1.0, 1.0, power=1.0), "power=1.0"),
        (lambda: seeds_needed(1.0, 1e-9), "too small"),
    ],
)
def test_bad_numbers_are_refused(call, message) -> None:
    with pytest.raises(ValueError, match=message):
        call()

"""Estimates of the time for computation and for communication."""

import pytest

from bench.machines import Machines, collectives, enough, seconds

TEXT = """
%a = (f32[2,3]{1,0}, bf16[]) all-reduce(%b, %c), channel_id=1, to_apply=%add
%d = s32[8]{0} all-gather-start(%e), channel_id=2, dimensions={0}
%f = f32[4]{0} add(%g, %all-reduce.3)
"""
MODEL = {
    "operations_per_example": 2e9,
    "collectives": {"batch": {"all-reduce": {"count": 3, "bytes": 4_000_000}}},
}
FOUR = Machines("", 4, rate=1e12, link=1e9, wait=1e-5, source="")


def test_collectives_of_a_program_are_counted() -> None:
    assert collectives(TEXT) == {
        "all-reduce": {"count": 1, "bytes": 26},
        "all-gather": {"count": 1, "bytes": 32},
    }


def test_times_are_those_of_a_ring_and_a_tree() -> None:
    compute, communication = seconds(FOUR, MODEL, 50)
    assert compute == pytest.approx(0.1)
    assert communication == pytest.approx(1.5 * 4e-3 + 3 * 4 * 1e-5)


def test_enough_is_the_least_number_of_examples() -> None:
    count = enough(FOUR, MODEL, 0.75)
    shares = []
    for each in (count - 1, count):
        compute, communication = seconds(FOUR, MODEL, each)
        shares.append(compute / (compute + communication))
    assert shares[0] < 0.75 <= shares[1]

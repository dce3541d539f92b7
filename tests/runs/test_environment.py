"""The environment that a run records, and draws that must never change."""

import json

import jax
import numpy as np
import pytest

from fdl.runs.environment import environment
from fdl.train.steps import draw_order, key_words


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("jax_default_prng_impl", "rbg"),
        ("jax_threefry_partitionable", False),
        ("jax_default_matmul_precision", "bfloat16"),
        ("jax_enable_x64", True),
        ("jax_disable_most_optimizations", None),
        ("jax_numpy_dtype_promotion", "strict"),
    ],
)
def test_flags_that_affect_results_are_recorded(flag, value) -> None:
    before = environment()
    if value is None:
        value = not before[flag]
    jax.config.update(flag, value)
    try:
        now = environment()
    finally:
        jax.config.update(flag, before[flag])
    assert now == {**before, flag: value}
    assert json.loads(json.dumps(now)) == now
    assert environment() == before


def test_a_seed_always_draws_the_same_numbers() -> None:
    """The expected numbers were drawn once, in another process."""
    words = key_words(jax.random.key(7))
    assert draw_order(words, 0, 8, 0).tolist() == [2, 5, 4, 0, 7, 3, 6, 1]
    assert draw_order(words, 1, 8, 0).tolist() == [1, 7, 0, 6, 5, 3, 2, 4]
    drawn = jax.random.bits(jax.random.key(7), (2,), "uint32")
    assert drawn.tolist() == [2895194379, 4185947648]
    keys = jax.random.key_data(jax.random.split(jax.random.key(7)))
    assert np.asarray(keys)[1].tolist() == [195045567, 4062205631]


def test_cores_and_xla_flags_are_recorded(monkeypatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1, 2})
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    found = environment()
    assert found["cores"] == 3
    assert found["XLA_FLAGS"] == "--xla_cpu_enable_fast_math=true"

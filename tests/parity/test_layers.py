"""Layers against Keras' on TensorFlow: levels 0 to 2, over the table in layers.py."""

import pytest

from parity import ladder
from parity.layers import ONLY_SINGLE
from parity.pick import DRAWS, Spread
from parity.subjects import LAYERS

pytestmark = pytest.mark.parity


# No wrong formula can hide behind rounding in double precision, so that is where shapes
# and options are many; `fdl parity` draws as many in both, and makes steps. Attention
# has another form in single precision.
SINGLE = (*ONLY_SINGLE, "MultiHeadAttention")


@pytest.mark.parametrize(
    ("name", "precision"),
    [(name, "float64") for name in LAYERS if name not in ONLY_SINGLE]
    + [(name, "float32") for name in LAYERS],
)
def test_functions(name: str, precision: str) -> None:
    draws = LAYERS[name]()
    some = DRAWS if precision == "float64" or name in SINGLE else 1
    for draw, subject in enumerate(draws[:some]):
        for rung in ladder.climb(subject, precision, (0, 1, 2)):
            assert rung.passed, f"draw {draw}: {rung}"


def test_draws_meet_every_option() -> None:
    found = [
        (pick.one("ab"), pick.one("xyz"), pick.one(range(9)), pick.one("ab"))
        for pick in (Spread(draw) for draw in range(DRAWS))
    ]
    assert [len(set(column)) for column in zip(*found, strict=True)] == [2, 3, DRAWS, 2]
    assert found == [
        (pick.one("ab"), pick.one("xyz"), pick.one(range(9)), pick.one("ab"))
        for pick in (Spread(draw) for draw in range(DRAWS))
    ]

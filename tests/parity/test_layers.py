"""Layers compared with Keras' on TensorFlow: levels 0 to 2 of the table of layers."""

import inspect

import pytest

from parity import ladder
from parity.layers import ONLY_SINGLE
from parity.pick import DRAWS, Spread
from parity.subjects import LAYERS

pytestmark = pytest.mark.parity


# In double precision, rounding cannot hide a wrong formula, so all draws of shapes and
# options run there; `fdl parity` runs all in both, with optimizer steps. Attention has
# another implementation in single precision.
SINGLE = (*ONLY_SINGLE, "MultiHeadAttention")
NO_OPTIONS = ("Bidirectional_last_output",)


@pytest.mark.parametrize(
    ("name", "precision"),
    [(name, "float64") for name in LAYERS if name not in ONLY_SINGLE]
    + [(name, "float32") for name in LAYERS],
)
def test_functions(name: str, precision: str) -> None:
    draws = LAYERS[name]()
    several = precision == "float64" or name in SINGLE
    some = DRAWS if several and name not in NO_OPTIONS else 1
    for draw, subject in enumerate(draws[:some]):
        # If training mode changes nothing, its outputs and gradients are enough.
        trains = "train" in inspect.signature(subject.model.__call__).parameters
        levels = (0, 1, 2) if trains else (0, 2)
        for rung in ladder.climb(subject, precision, levels):
            assert rung.passed, f"draw {draw}: {rung}"


def test_draws_cover_the_options() -> None:
    found = [
        (pick.one("ab"), pick.one("xyz"), pick.one(range(9)), pick.one("ab"))
        for pick in (Spread(draw) for draw in range(DRAWS))
    ]
    assert [len(set(column)) for column in zip(*found, strict=True)] == [2, 3, DRAWS, 2]
    assert found == [
        (pick.one("ab"), pick.one("xyz"), pick.one(range(9)), pick.one("ab"))
        for pick in (Spread(draw) for draw in range(DRAWS))
    ]

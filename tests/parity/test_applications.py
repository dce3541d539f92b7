"""Two models of `keras.applications`; `fdl parity --large` measures all of them."""

import pytest

from parity import ladder
from parity.applications import application

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.mark.parametrize(
    ("name", "levels"), [("MobileNet", (0, 1, 2)), ("MobileNetV3Small", (0, 1))]
)
def test_an_imported_model_is_the_same_function(name: str, levels: tuple) -> None:
    # In double precision, no wrong formula can hide behind rounding.
    subject = application(name, levels, alpha=0.25)
    for rung in ladder.climb(subject, "float64"):
        assert rung.passed, rung

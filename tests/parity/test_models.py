"""Whole models against their Keras twins on TensorFlow."""

import re
from pathlib import Path

import pytest

from fdl import models, nn
from parity import ladder
from parity.subjects import MODELS

pytestmark = pytest.mark.parity

GOLDEN = Path(__file__).parents[1] / "golden"  # the arrays of each model
STATISTICS = {
    name
    for name in MODELS
    if "batch_stats/" in (GOLDEN / f"{name}.json").read_text("utf-8")
}

# Level 2 and test_optimizers.py imply levels 3 and 4, since an optimizer sees nothing
# but arrays; what could come between, such as running statistics from step to step,
# this one shows. `fdl parity` climbs all levels with all models.
TRAINED = "dcgan-generator"  # convolutions and batch normalization


# Attention has another form in single precision. Of all others, test_layers.py and the
# law that nothing is promoted imply what double precision shows.
SINGLE = {"language-model", "transformer"}


@pytest.mark.parametrize(
    ("name", "precision"),
    [(name, "float64") for name in MODELS]
    + [(name, "float32") for name in MODELS if name in SINGLE],
)
def test_functions(name: str, precision: str, monkeypatch) -> None:
    monkeypatch.setattr(ladder, "OPTIMIZERS", {"Adam": ladder.OPTIMIZERS["Adam"]})
    monkeypatch.setattr(ladder, "STEPS", 5)
    (subject,) = MODELS[name]()
    # Programs of tests are not optimized, so that convolutions take long.
    subject = subject._replace(inputs=tuple(x[:3] for x in subject.inputs))
    # Without statistics of a batch, training is the same function, as the next test
    # says, and its slopes are those of its layers, of which test_layers.py has level 2.
    levels = range(5 if name == TRAINED else 3 if name in STATISTICS else 2)
    # In double precision, no wrong formula can hide behind rounding.
    rungs = ladder.climb(subject, precision, levels)
    assert [rung.level for rung in rungs] == list(levels)
    for rung in rungs:
        assert rung.passed, rung


def test_models_leave_training_and_slopes_to_their_layers() -> None:
    slopes = r"stop_gradient|custom_(jvp|vjp|gradient)"
    own = re.compile(slopes + r"|\b(if|not) train\b|\btrain (and|or|if)\b")
    found = {
        file.name
        for package in (models, nn)
        for file in Path(package.__file__).parent.glob("*.py")
        if own.search(file.read_text("utf-8"))
    }
    # The heads of GoogLeNet are compared as they train.
    assert found == {"dropout.py", "norm.py", "frozen.py", "googlenet.py"}

"""Whole models compared with their Keras twins on TensorFlow."""

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

# Level 2 and test_optimizers.py imply levels 3 and 4, since optimizers see only arrays.
# One model covers the rest, such as running statistics from step to step. `fdl parity`
# measures all models at all levels.
TRAINED = "dcgan-generator"  # convolutions and batch normalization


# Attention has another implementation in single precision. For all other models,
# double precision is enough, with test_layers.py and the law that nothing is promoted.
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
    # Programs of tests are not optimized, so convolutions take long.
    subject = subject._replace(inputs=tuple(x[:3] for x in subject.inputs))
    # Without batch statistics, training is the same function, as the next test shows,
    # and its gradients are those of its layers, which test_layers.py compares.
    levels = range(5 if name == TRAINED else 3 if name in STATISTICS else 2)
    rungs = ladder.climb(subject, precision, levels)
    assert [rung.level for rung in rungs] == list(levels)
    for rung in rungs:
        assert rung.passed, rung


def test_models_leave_training_mode_and_gradients_to_their_layers() -> None:
    gradients = r"stop_gradient|custom_(jvp|vjp|gradient)"
    own = re.compile(gradients + r"|\b(if|not) train\b|\btrain (and|or|if)\b")
    found = {
        file.name
        for package in (models, nn)
        for file in Path(package.__file__).parent.glob("*.py")
        if own.search(file.read_text("utf-8"))
    }
    # The heads of GoogLeNet are compared in training mode.
    assert found == {"dropout.py", "norm.py", "frozen.py", "googlenet.py"}

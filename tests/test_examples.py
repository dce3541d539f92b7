"""Every example runs with its smoke configuration and learns something.

That of a cluster runs in `scale/test_cluster_sweep.py`, which has one.
"""

import importlib.util
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples"
EXAMPLES = sorted({*FOLDER.glob("*.py")} - {FOLDER / "cluster_sweep.py"})

# A metric that each example returns, and its bounds if the model has learned something.
LEARNED = {
    "fine_tune": ("accuracy", 0.5, 1.0),
    "gan": ("frechet_distance", 0.0, 520.0),
    "language_model": ("loss", 0.0, 3.7),
    "keras_to_jax": ("accuracy", 0.2, 1.0),
    "lstm_rows": ("accuracy", 0.2, 1.0),
    "mnist_cnn": ("accuracy", 0.2, 1.0),
    "mnist_vae": ("elbo", -500.0, 0.0),
    "thousand_seeds": ("accuracy", 0.2, 1.0),
}


@pytest.mark.parity  # one of them
# Keras warns when it saves a model.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path, monkeypatch) -> None:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, path.stem, module)  # dataclasses look it up
    spec.loader.exec_module(module)
    measured = module.main(module.SMOKE)
    metric, low, high = LEARNED[path.stem]
    assert low < measured[metric] <= high, "the model must have learned something"


def test_examples_are_short() -> None:
    for path in FOLDER.glob("*.py"):
        assert 60 <= len(path.read_text().splitlines()) <= 150, path

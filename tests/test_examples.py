"""Every example runs with its smoke configuration and learns something."""

import importlib.util
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.drawn

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))

# A metric that each example returns, and its bounds if the model has learned something.
LEARNED = {
    "cluster_sweep": ("accuracy", 0.2, 1.0),
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
    assert 60 <= len(path.read_text().splitlines()) <= 150

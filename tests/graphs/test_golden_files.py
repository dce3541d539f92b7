"""Models that Keras saved elsewhere, where no other framework can be imported."""

import sys
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

import fdl
from fdl.keras import import_model

PAIRS = sorted((Path(__file__).parents[1] / "data" / "keras").glob("*.npz"))


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    for name in ("keras", "tf_keras", "tensorflow", "torch"):
        monkeypatch.setitem(sys.modules, name, None)


def named(outputs):
    """Return outputs by the names that the pairs have."""
    if isinstance(outputs, dict):
        return outputs
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return {f"{number:02}": y for number, y in enumerate(outputs)}


def test_there_are_pairs_of_both_releases():
    names = {pair.name.partition("-")[0] for pair in PAIRS}
    kinds = {Path(pair.stem).suffix for pair in PAIRS}
    assert (names, kinds) == ({"keras2", "keras3"}, {".keras", ".h5"})


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.stem)
def test_predictions(pair, tmp_path):
    path = tmp_path / pair.stem
    with np.load(pair) as stored:
        path.write_bytes(stored["saved"].tobytes())
        arrays = {key.partition(" ")[::2]: stored[key] for key in stored}
    inputs = {name: x for (kind, name), x in arrays.items() if kind == "input"}
    wanted = {name: y for (kind, name), y in arrays.items() if kind == "output"}
    model, variables = import_model(path)
    found = named(jax.jit(model.apply)(variables, inputs))
    assert found.keys() == wanted.keys()
    for name, y in wanted.items():
        scale = np.abs(y).max()
        np.testing.assert_allclose(found[name], y, rtol=0, atol=1e-5 * scale)


def test_training(tmp_path):
    path = tmp_path / "images.keras"
    with np.load(next(pair for pair in PAIRS if "images.keras" in pair.name)) as stored:
        path.write_bytes(stored["saved"].tobytes())
        images = stored["input image"]
    model, variables = import_model(path)
    learner = fdl.learners.supervised(
        model, fdl.losses.squared_error, optax.sgd(0.1), variables=variables
    )

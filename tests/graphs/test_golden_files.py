"""Models saved by Keras are imported where no other framework is installed."""

import dataclasses
import sys
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

import fdl
from fdl.keras import import_model
from fdl.keras.graph.description import with_options
from fdl.keras.graph.read import read_model
from graphs.golden import PAIRS, read


@pytest.fixture(autouse=True)
def _without_frameworks(monkeypatch):
    for name in ("keras", "tf_keras", "tensorflow", "torch"):
        monkeypatch.setitem(sys.modules, name, None)


def named(outputs):
    """Return outputs by the names that the stored outputs have."""
    if isinstance(outputs, dict):
        return outputs
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return {f"{number:02}": y for number, y in enumerate(outputs)}


def test_there_are_pairs_of_both_versions_and_formats():
    names = {pair.name.partition("-")[0] for pair in PAIRS}
    kinds = {Path(pair.stem).suffix for pair in PAIRS}
    assert (names, kinds) == ({"keras2", "keras3"}, {".keras", ".h5"})


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.stem)
def test_predictions_equal_those_of_keras(pair, tmp_path):
    path, inputs, wanted = read(pair.stem, tmp_path)
    model, variables = import_model(path)
    found = named(jax.jit(model.apply)(variables, inputs))
    assert found.keys() == wanted.keys()
    for name, y in wanted.items():
        atol = 1e-5 * np.abs(y).max()
        np.testing.assert_allclose(found[name], y, rtol=0, atol=atol, err_msg=name)


def test_imported_models_are_trained_and_saved(tmp_path):
    path, inputs, outputs = read("keras3-images.keras", tmp_path)
    model, variables = import_model(path)
    learner = fdl.learners.supervised(
        model, fdl.losses.mean_squared_error, optax.sgd(0.1)
    )
    data = fdl.arrays.Rows(inputs["image"], np.roll(outputs["00"], 1))
    start = learner.init(0, data)
    start = start._replace(
        params=variables["params"],
        model_state={"batch_stats": variables["batch_stats"]},
    )
    run = fdl.fit(learner, data, epochs=3, batch_size=4, key=0, state=start)
    losses = [epoch.train["loss"] for epoch in run.history]
    assert losses[2] < losses[0]
    mean = run.state.model_state["batch_stats"]["norm"]["mean"]
    assert (mean != variables["batch_stats"]["norm"]["mean"]).all()
    fdl.keras.save_weights(tmp_path / "again.keras", model, run.state.variables)
    again, weights = import_model(tmp_path / "again.keras")
    assert again == model
    jax.tree.map(np.testing.assert_array_equal, weights, run.state.variables)


GATE = {"recurrent_activation": "sigmoid"}


def test_masks_of_keras2_are_not_written_for_keras3(tmp_path):
    path, _, _ = read("keras2-sequences.h5", tmp_path)
    model, variables = import_model(path)
    layers = tuple(
        dataclasses.replace(layer, options=with_options(layer.options, **GATE))
        if "recurrent_activation" in layer.options
        else layer
        for layer in model.graph.layers
    )
    graph = dataclasses.replace(model.graph, layers=layers)
    model = dataclasses.replace(model, graph=graph)
    with pytest.raises(fdl.keras.WeightsError, match="masks of Keras 2"):
        fdl.keras.save_weights(tmp_path / "x.keras", model, variables)


def test_functions_of_keras2_are_not_written_for_keras3(tmp_path):
    cell = {"units": 2, "recurrent_activation": "hard_sigmoid"}
    layer = {"class_name": "LSTM", "config": {"name": "cell", **cell}}
    both = {"name": "both", "layer": layer}
    config = {
        "name": "net",
        "layers": [{"class_name": "Bidirectional", "config": both}],
        "build_input_shape": [None, 3, 2],
    }
    whole = {"class_name": "Sequential", "config": config}
    model = fdl.keras.KerasModel(read_model(whole, keras2=True))
    x = np.zeros((1, 3, 2), np.float32)
    variables = model.init(jax.random.key(0), x)
    words = r"'cell' .* hard_sigmoid of Keras 2"
    with pytest.raises(fdl.keras.WeightsError, match=words):
        fdl.keras.save_weights(tmp_path / "x.keras", model, variables)
    fdl.runs.write_imported(tmp_path / "x", model, variables)
    assert fdl.load(tmp_path / "x").model == model

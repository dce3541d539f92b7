"""What a run predicts, in onnxruntime."""

import dataclasses
import json
import sys

import numpy as np
import onnx
import onnxruntime
import pytest

import fdl
from fdl.export import ExportError, onnx_graph, write_onnx
from fdl.runs.exporting import export
from models import NUMBERS, ROWS, untrained
from zoo.case import draw_variables


def answers(path, x) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"inputs": x})
    return found


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cnn", {}),
        ("mlp", {}),
        ("mnist-fast", {}),
        ("rnn", {"hidden_size": 8}),
        ("lstm", {"hidden_size": 8, "num_layers": 2, "bidirectional": True}),
        ("gru", {"hidden_size": 8, "bidirectional": True, "steps": "pixels"}),
        ("autoencoder", {"hidden_sizes": (8, 6)}),
    ],
)
def test_onnxruntime_answers_what_the_run_predicts(tmp_path, name, options) -> None:
    trained, task = untrained(name, **options)
    export(trained, task, tmp_path / "x.onnx")
    x = np.random.default_rng(1).integers(0, 256, (5, 28, 28, 1)).astype(np.uint8)
    expected = trained.learner.predict(trained.state, x)
    found = answers(tmp_path / "x.onnx", x)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - found[::-1]).max() > 1e-3
    (said,) = onnx.load(tmp_path / "x.onnx").metadata_props
    assert json.loads(said.value)["info"]["class_names"] == list("0123456789")


@pytest.mark.parametrize(("name", "info"), [("mlp", ROWS), ("regress", NUMBERS)])
def test_rows_of_a_table_go_in_as_they_are(tmp_path, name, info) -> None:
    trained, task = untrained(name, info)
    export(trained, task, tmp_path / "x.onnx")
    x = np.random.default_rng(1).normal(size=(5, 3)) * info.deviations[:3]
    x = (x + info.means[:3]).astype("f4")
    found = answers(tmp_path / "x.onnx", x)
    expected = trained.learner.predict(trained.state, x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(found, axis=0).max() > (100 if name == "regress" else 1e-3)


IMAGE, LATENT = np.zeros((1, 28, 28, 1), "f4"), np.zeros((1, 5), "f4")


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (fdl.models.DCGANGenerator(features=(4, 2)), LATENT),
        (fdl.models.DCGANDiscriminator((2, 4)), IMAGE),
        (
            fdl.models.Autoencoder(
                5,
                fdl.models.ConvEncoder((2, 4), 8),
                fdl.models.ConvDecoder((4, 2), 8),
            ),
            IMAGE,
        ),
        (fdl.models.DenseGenerator(), LATENT),
        (fdl.models.DenseDiscriminator(), IMAGE),
    ],
    ids=lambda x: type(x).__name__,
)
def test_parts_answer_what_their_models_do(tmp_path, model, inputs) -> None:
    variables = draw_variables(model, inputs)  # statistics as after training
    write_onnx(tmp_path / "x.onnx", model, variables, inputs)
    x = np.random.default_rng(1).normal(size=(4, *inputs.shape[1:])).astype("f4")
    found = answers(tmp_path / "x.onnx", x)
    expected = model.apply(variables, x)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)
    assert np.abs(found - found[::-1]).max() > 1e-3


def test_a_task_that_prepares_otherwise_is_refused(tmp_path) -> None:
    model, zeros = fdl.models.MLP(3), np.zeros((1, 8, 8, 1), np.float32)
    variables = draw_variables(model, zeros)
    twice = lambda x: model.apply(variables, 2 * x)  # for zeros it is the same
    with pytest.raises(ExportError, match="would answer otherwise than the run"):
        write_onnx(tmp_path / "x.onnx", model, variables, zeros, expected=twice)
    trained, task = untrained("mlp")
    task = dataclasses.replace(task, predicts="images")
    with pytest.raises(ExportError, match="would answer otherwise than the run"):
        export(trained, task, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_models_that_are_not_described_are_refused(tmp_path) -> None:
    trained, task = untrained("transformer", num_layers=1)
    with pytest.raises(ExportError, match=r"VisionTransformer.*write a \.stablehlo"):
        export(trained, task, tmp_path / "x.onnx")
    trained, task = untrained("vae")
    with pytest.raises(ValueError, match="choose one of vae, decoder"):
        export(trained, task, tmp_path / "x.onnx")


def test_without_the_extra_the_message_names_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ExportError, match=r"pip install 'fdl\[onnx\]'"):
        export(*untrained("mlp"), tmp_path / "x.onnx")


def test_every_layer_that_is_described_can_be_written() -> None:
    import ast
    import inspect

    from fdl.keras import architectures

    tree = ast.parse(inspect.getsource(architectures))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {
        word.value
        for call in calls
        for word in call.args
        if isinstance(word, ast.Constant) and str(word.value)[0].isupper()
    }
    assert {"Conv2D", "Bidirectional"} <= names
    assert names - {"InputLayer", "Bidirectional"} <= onnx_graph._LAYERS.keys()

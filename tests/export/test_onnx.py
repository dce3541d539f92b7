"""What a run predicts, in onnxruntime."""

import dataclasses
import json
import sys

import flax.linen as linen
import jax
import numpy as np
import onnx
import onnxruntime
import pytest

import fdl
from fdl.export import ExportError, write_onnx
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
        ("gru", {"hidden_size": 8, "steps": "pixels"}),
        ("autoencoder", {"hidden_sizes": (8, 6)}),
    ],
)
def test_onnxruntime_answers_what_the_run_predicts(tmp_path, name, options) -> None:
    trained, task = untrained(name, **options)
    export(trained, task, tmp_path / "x.onnx")
    x = np.random.default_rng(1).integers(0, 256, (5, 28, 28, 1)).astype(np.uint8)
    expected = jax.jit(trained.learner.predict)(trained.state, x)
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
    expected = jax.jit(trained.learner.predict)(trained.state, x)
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
    expected = jax.jit(model.apply)(variables, x)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)
    assert np.abs(found - found[::-1]).max() > 1e-3


def test_a_task_that_prepares_otherwise_is_refused(tmp_path) -> None:
    model, zeros = fdl.models.MLP(3), np.zeros((1, 8, 8, 1), np.float32)
    variables = draw_variables(model, zeros)
    twice = lambda x: model.apply(variables, 2 * x)  # for zeros it is the same
    with pytest.raises(ExportError, match="would not give the outputs of the run"):
        write_onnx(tmp_path / "x.onnx", model, variables, zeros, expected=twice)
    trained, task = untrained("mlp")
    task = dataclasses.replace(task, predicts="images")
    with pytest.raises(ExportError, match="would not give the outputs of the run"):
        export(trained, task, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_models_that_are_not_described_are_refused(tmp_path) -> None:
    trained, task = untrained("transformer", num_layers=1)
    with pytest.raises(ExportError, match=r"'permute'.*Write a \.stablehlo"):
        export(trained, task, tmp_path / "x.onnx")
    trained, task = untrained("vae")
    with pytest.raises(ValueError, match="choose one of vae, decoder"):
        export(trained, task, tmp_path / "x.onnx")


def test_without_the_extra_the_message_names_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ExportError, match=r"pip install 'fdl\[onnx\]'"):
        export(*untrained("mlp"), tmp_path / "x.onnx")


class Chain(linen.Module):
    """Options that none of fdl's own models has."""

    @linen.compact
    def __call__(self, x):
        x = fdl.nn.Conv2D(4, (3, 2), dilation=(2, 1), groups=2, padding="same")(x)
        x = fdl.nn.BatchNormalization(epsilon=0.1, use_scale=False)(x)
        x = fdl.nn.max_pool(x, (3, 2), strides=(2, 2), padding="same")
        x = fdl.nn.sigmoid(x.reshape(x.shape[0], -1, 8))
        x = fdl.nn.softplus(fdl.nn.Dense(3)(x))
        return fdl.nn.LSTM(4)(fdl.nn.Dropout(0.5)(x)).outputs


def test_options_of_layers(tmp_path) -> None:
    x = np.random.default_rng(1).normal(size=(4, 8, 7, 2)).astype("f4")
    variables = draw_variables(Chain(), x[:1])
    write_onnx(tmp_path / "x.onnx", Chain(), variables, x[:1])
    expected = jax.jit(Chain().apply)(variables, x)
    np.testing.assert_allclose(answers(tmp_path / "x.onnx", x), expected, atol=1e-5)
    # The same from a file of Keras, without the module.
    fdl.keras.save_weights(tmp_path / "x.keras", Chain(), variables, x[:1])
    write_onnx(tmp_path / "y.onnx", *fdl.keras.import_model(tmp_path / "x.keras"), x)
    np.testing.assert_allclose(answers(tmp_path / "y.onnx", x), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: fdl.nn.GRU(2, reset_after=False)(x).outputs, "reset_after=False"),
        (lambda x: fdl.nn.elu(fdl.nn.Dense(2, name="a")(x)), "activation='elu'"),
        (lambda x: x + fdl.nn.Dense(3)(x), "one after another"),
        (lambda x: (x, fdl.nn.Dense(3)(x)), "several outputs"),
        (lambda x: fdl.nn.LayerNormalization(name="norm")(x), "'norm'"),
    ],
)
def test_what_cannot_be_written_is_named(tmp_path, make, message) -> None:
    class Model(linen.Module):
        @linen.compact
        def __call__(self, x):
            return make(x)

    x = np.zeros((1, 4, 3), np.float32)
    with pytest.raises(ExportError, match=message):
        write_onnx(tmp_path / "x.onnx", Model(), draw_variables(Model(), x), x)
    assert not list(tmp_path.iterdir())

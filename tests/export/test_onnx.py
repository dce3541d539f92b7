"""Runs exported to ONNX predict the same in ONNX Runtime."""

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
from fdl.keras.graph.model import KerasModel
from fdl.keras.graph.read import read_model
from fdl.runs.exporting import export
from models import IMAGES, NUMBERS, ROWS, untrained
from zoo.case import draw_variables


def outputs(path, x) -> np.ndarray:
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
def test_onnxruntime_predicts_as_the_run(tmp_path, name, options) -> None:
    trained, task = untrained(name, **options)
    export(trained, task, tmp_path / "x.onnx")
    x = np.random.default_rng(1).integers(0, 256, (5, 28, 28, 1)).astype(np.uint8)
    expected = jax.jit(trained.learner.predict)(trained.state, x)
    found = outputs(tmp_path / "x.onnx", x)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - found[::-1]).max() > 1e-3
    (metadata,) = onnx.load(tmp_path / "x.onnx").metadata_props
    assert json.loads(metadata.value)["info"]["class_names"] == list("0123456789")


@pytest.mark.parametrize(("name", "info"), [("mlp", ROWS), ("regress", NUMBERS)])
def test_the_file_standardizes_rows_of_a_table(tmp_path, name, info) -> None:
    trained, task = untrained(name, info)
    export(trained, task, tmp_path / "x.onnx")
    x = np.random.default_rng(1).normal(size=(5, 3)) * info.deviations[:3]
    x = (x + info.means[:3]).astype("f4")
    found = outputs(tmp_path / "x.onnx", x)
    expected = jax.jit(trained.learner.predict)(trained.state, x)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert np.ptp(found, axis=0).max() > (100 if name == "regress" else 1e-3)


class Photographs(linen.Module):
    """A classifier whose published weights expect pixels in one of Keras' forms."""

    preprocessing: str

    @linen.compact
    def __call__(self, x, train=False):
        x = fdl.nn.Conv2D(2, (2, 2))(x)
        return fdl.nn.Dense(10)(x.reshape(x.shape[0], -1))


def image_layers(*layers):
    named = [
        {"class_name": kind, "config": {"name": f"{kind.lower()}{index}", **options}}
        for index, (kind, options) in enumerate(layers)
    ]
    return {"class_name": "Sequential", "config": {"name": "net", "layers": named}}


@pytest.mark.parametrize(
    ("pixels", "channels"),
    [
        ("caffe", 3),
        ("caffe", 1),
        ("tf", 3),
        ("torch", 3),
        ("rescaled by the model", 3),
    ],
)
def test_pixels_are_scaled_as_the_model_expects(tmp_path, pixels, channels) -> None:
    info = IMAGES._replace(input_shape=(4, 5, channels))
    given = ("InputLayer", {"batch_shape": [None, 4, 5, channels]})
    first = image_layers(
        given,
        ("RandomFlip", {}),
        ("ZeroPadding2D", {"padding": ((1, 0), (2, 3))}),
        ("Rescaling", {"scale": 1 / 127.5, "offset": -1.0}),
    )
    rescaled = image_layers(
        given,
        ("Sequential", {"layers": first["config"]["layers"]}),
        ("Conv2D", {"filters": 4, "kernel_size": 3, "activation": "softmax"}),
        ("AveragePooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}),
        ("GlobalAveragePooling2D", {"keepdims": True}),
        ("GlobalMaxPooling2D", {}),
        ("Dense", {"units": 10}),
    )
    model = (
        KerasModel(read_model(rescaled))
        if pixels == "rescaled by the model"
        else Photographs(pixels)
    )
    task = fdl.tasks.find("classify")
    config = task.config(dataset="mnist")
    learner = task.learn(model, config, info)
    x = np.random.default_rng(1).integers(0, 256, (5, *info.input_shape), np.uint8)
    state = learner.init(0, (x, np.arange(5)))
    trained = fdl.tasks.Trained(config, info, model, learner, state)
    export(trained, task, tmp_path / "x.onnx")
    found = outputs(tmp_path / "x.onnx", x)
    expected = jax.jit(learner.predict)(state, x)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found - found[::-1]).max() > 1e-3


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
def test_parts_return_the_outputs_of_their_models(tmp_path, model, inputs) -> None:
    variables = draw_variables(model, inputs)  # nontrivial statistics
    write_onnx(tmp_path / "x.onnx", model, variables, inputs)
    x = np.random.default_rng(1).normal(size=(4, *inputs.shape[1:])).astype("f4")
    found = outputs(tmp_path / "x.onnx", x)
    expected = jax.jit(model.apply)(variables, x)
    np.testing.assert_allclose(found, expected, atol=1e-5, rtol=1e-5)
    assert np.abs(found - found[::-1]).max() > 1e-3


def test_other_preprocessing_is_refused(tmp_path) -> None:
    model, zeros = fdl.models.MLP(3), np.zeros((1, 8, 8, 1), np.float32)
    variables = draw_variables(model, zeros)
    twice = lambda x: model.apply(variables, 2 * x)  # equal for zeros
    with pytest.raises(ExportError, match="would not give the outputs of the run"):
        write_onnx(tmp_path / "x.onnx", model, variables, zeros, expected=twice)
    trained, task = untrained("mlp")
    for other in (
        dataclasses.replace(task, predicts="images"),
        dataclasses.replace(task, inputs=lambda *_: lambda x: x[:, ::-1]),
    ):
        with pytest.raises(ExportError, match="would not give the outputs of the run"):
            export(trained, other, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


def test_unsupported_models_are_refused(tmp_path) -> None:
    trained, task = untrained("transformer", num_layers=1)
    with pytest.raises(ExportError, match=r"'permute'.*Write a \.stablehlo"):
        export(trained, task, tmp_path / "x.onnx")
    trained, task = untrained("vae")
    with pytest.raises(ValueError, match="choose one of vae, decoder"):
        export(trained, task, tmp_path / "x.onnx")


def test_a_missing_extra_is_named(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ExportError, match=r"pip install 'fdl\[onnx\]'"):
        export(*untrained("mlp"), tmp_path / "x.onnx")


class Chain(linen.Module):
    """Layers with options that no model of fdl uses."""

    @linen.compact
    def __call__(self, x):
        x = fdl.nn.Conv2D(4, (3, 2), dilation=(2, 1), groups=2, padding="same")(x)
        x = fdl.nn.BatchNormalization(epsilon=0.1, use_scale=False)(x)
        x = fdl.nn.max_pool(x, (3, 2), strides=(2, 2), padding="same")
        x = fdl.nn.sigmoid(x.reshape(x.shape[0], -1, 8))
        x = fdl.nn.softplus(fdl.nn.Dense(3)(x))
        return fdl.nn.LSTM(4)(fdl.nn.Dropout(0.5)(x)).outputs


def test_options_of_layers_are_exported(tmp_path) -> None:
    x = np.random.default_rng(1).normal(size=(4, 8, 7, 2)).astype("f4")
    variables = draw_variables(Chain(), x[:1])
    write_onnx(tmp_path / "x.onnx", Chain(), variables, x[:1])
    expected = jax.jit(Chain().apply)(variables, x)
    np.testing.assert_allclose(outputs(tmp_path / "x.onnx", x), expected, atol=1e-5)
    # The same from a Keras file, without the module.
    fdl.keras.save_weights(tmp_path / "x.keras", Chain(), variables, x[:1])
    write_onnx(tmp_path / "y.onnx", *fdl.keras.import_model(tmp_path / "x.keras"), x)
    np.testing.assert_allclose(outputs(tmp_path / "y.onnx", x), expected, atol=1e-5)


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
def test_unsupported_layers_are_named(tmp_path, make, message) -> None:
    class Model(linen.Module):
        @linen.compact
        def __call__(self, x):
            return make(x)

    x = np.zeros((1, 4, 3), np.float32)
    with pytest.raises(ExportError, match=message):
        write_onnx(tmp_path / "x.onnx", Model(), draw_variables(Model(), x), x)
    assert not list(tmp_path.iterdir())

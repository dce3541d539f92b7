"""Models and weights that do not fit are refused, and no file is written."""

import flax.linen as linen
import jax
import numpy as np
import pytest
from draws import CNN_INPUT, MODELS, draw
from look_alikes import Words

from fdl import models
from fdl.keras import WeightsError, import_model, load_weights, save_weights


class Unknown(linen.Module):
    @linen.compact
    def __call__(self, x):
        self.param("temperature", linen.initializers.ones, ())
        return x


class LinenNorm(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.LayerNorm(name="norm")(x)


class Stateful(linen.Module):
    @linen.compact
    def __call__(self, x):
        self.variable("cache", "last", lambda: x)
        return x


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Unknown(), "params/temperature is an array that no Keras layer has"),
        (LinenNorm(), "Keras has no layer class for 'norm'"),
        (Stateful(), "Keras has no equivalent of the collection 'cache'"),
    ],
)
def test_refuses_modules_that_keras_does_not_have(tmp_path, model, message) -> None:
    variables = model.init(jax.random.key(0), CNN_INPUT)
    with pytest.raises(WeightsError, match=message):
        save_weights(tmp_path / "a.weights.h5", model, variables, CNN_INPUT)
    assert not list(tmp_path.iterdir())


def test_refuses_variables_of_another_model(tmp_path) -> None:
    model, x = MODELS["blocks"]
    file = tmp_path / "a.weights.h5"
    for damage, message in [
        (lambda v: v.pop("batch_stats"), r"lack batch_stats/block1/norm/mean, float32"),
        (
            lambda v: v["params"].update(a=np.ones(1)),
            "contain params/a, which the model",
        ),
        (
            lambda v: v["params"]["head"].update(bias=np.ones((1, 4), np.float32)),
            r"params/head/bias as float32\[1, 4\], but the model needs float32\[4\]",
        ),
        (
            lambda v: v["params"]["head"].update(bias=np.ones(4, int)),
            "do not support int64",
        ),
    ]:
        variables = draw(model, x)
        damage(variables)
        with pytest.raises(WeightsError, match=message):
            save_weights(file, model, variables, x)
        assert not list(tmp_path.iterdir())


def test_errors_name_a_model_in_memory() -> None:
    class Net:
        name, layers = "net", ()

        def save(self, path) -> None:
            path.write_bytes(b"no archive")

    with pytest.raises(WeightsError, match=r"^the Keras model 'net' "):
        import_model(Net())


def test_refuses_keras_files_of_models_that_cannot_be_described(tmp_path) -> None:
    model, x = MODELS["words"]
    with pytest.raises(WeightsError, match="an output does not depend"):
        save_weights(tmp_path / "a.keras", model, draw(model, x), x)
    model, x = MODELS["cnn"]
    variables = draw(model, x)
    head = variables["params"]["head"]
    head["bias"] = head["bias"].astype(np.float64)
    with pytest.raises(WeightsError, match="several types, float32, float64"):
        save_weights(tmp_path / "a.keras", model, variables, x)
    assert not list(tmp_path.iterdir())


def test_refuses_weights_of_another_model(tmp_path) -> None:
    model, x = MODELS["cnn"]
    save_weights(tmp_path / "a.keras", model, draw(model, x), x)
    for other, message in [
        (models.CNN(9), r"a\.keras has 'head' \(dense of .*\[64, 10\].*needs 'head' "),
        (models.MLP(10), r"a\.keras lacks a layer like .*'dense1'.* the model lacks"),
        (Words(), "lacks a layer like the model's 'words'"),
    ]:
        with pytest.raises(WeightsError, match=message):
            load_weights(tmp_path / "a.keras", other)


def test_refuses_a_file_whose_inputs_the_model_does_not_accept(tmp_path) -> None:
    model, x = models.MLP(10), np.zeros((1, 4, 4, 1), np.float32)
    save_weights(tmp_path / "a.keras", model, draw(model, x), x)
    with pytest.raises(
        WeightsError, match=r"float32\[1, 4, 4, 1\].*CNN does not accept"
    ):
        load_weights(tmp_path / "a.keras", models.CNN(10))

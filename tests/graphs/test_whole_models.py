"""Whole models in `.h5` files, and their descriptions by Keras 2, without Keras."""

import json

import flax.linen as nn
import h5py
import numpy as np
import pytest

from bounds import refused
from fdl.keras import WeightsError, hdf5, import_model, load_weights
from fdl.keras.graph.read import read_model
from graphs.golden import read


@pytest.fixture
def h5(tmp_path):
    """A file with a whole model, saved by Keras 2."""
    return read("keras2-nested.h5", tmp_path)[0]


def drop_a_layer(file):
    del file["model_weights/shared"]


def drop_a_weight(file):
    del file["model_weights/shared/shared/bias:0"]


def add_a_link(file):
    drop_a_layer(file)
    file["model_weights/shared"] = h5py.SoftLink("/model_weights/fork")


def add_an_external_link(file):
    drop_a_weight(file)
    file["model_weights/shared/shared/bias:0"] = h5py.ExternalLink("/etc/passwd", "/")


def swap_weights(file):
    names = file["model_weights/tower"].attrs["weight_names"]
    file["model_weights/tower"].attrs["weight_names"] = names[[1, 0, *range(2, 8)]]


def enlarge_a_weight(file):
    drop_a_weight(file)
    file["model_weights/shared/shared/bias:0"] = np.zeros(5, "f4")


def use_numbers_as_names(file):
    file["model_weights"].attrs["layer_names"] = np.arange(3)


def use_a_long_name(file):
    file["model_weights"].attrs["layer_names"] = [b"a" * 300]


def compress_a_weight(file):
    drop_a_weight(file)
    group = file["model_weights/shared/shared"]
    group.create_dataset("bias:0", (4,), "f4", chunks=(2,), compression="gzip")


def replace_the_description(file):
    file.attrs["model_config"] = 3


def damage_the_description(file):
    file.attrs["model_config"] = '{"class_name": '


def add_a_top_level_weight(file):
    group = file["model_weights/top_level_model_weights"]
    group.attrs["weight_names"] = [b"scale:0"]
    group["scale:0"] = np.ones(3, "f4")


def drop_the_description(file):
    del file.attrs["model_config"]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (drop_a_layer, r"lacks the weight shared/kernel"),
        (drop_a_weight, "has no 'shared/bias:0' in '/model_weights/shared/shared'"),
        (add_a_link, "has a link at /model_weights/shared, which is not followed"),
        (add_an_external_link, r"has a link at .*bias:0, which is not followed"),
        (swap_weights, "has .*beta.* where tower/norm/scale belongs"),
        (enlarge_a_weight, r"has shared/bias as float32\[5\], but the model needs"),
        (
            use_numbers_as_names,
            "has layer_names in '/model_weights' that are not names",
        ),
        (use_a_long_name, "has a name of 300 characters"),
        (compress_a_weight, "compressed, in chunks or in another file"),
        (replace_the_description, "has a model_config for '/' that is not text"),
        (damage_the_description, "has a damaged description of its model"),
        (add_a_top_level_weight, r"has float32\[3\] at top_level_model_weights"),
        (
            drop_the_description,
            "has weights in the format of Keras 2, without their model",
        ),
    ],
)
def test_damaged_files_are_refused(h5, damage, words):
    with h5py.File(h5, "r+") as file:
        damage(file)
    with refused(WeightsError, words):
        import_model(h5)


def test_files_of_the_other_format_are_refused(h5, tmp_path):
    with pytest.raises(WeightsError, match=r"a whole model: import it with .*import_m"):
        load_weights(h5.rename(tmp_path / "a.weights.h5"), nn.Dense(1), np.ones(1))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["layers/dense/vars/0"] = np.ones(3)
    with pytest.raises(WeightsError, match="has weights without their model"):
        import_model(tmp_path / "b.h5")


def call(function, **kwargs):
    config = {"name": "f", "function": function}
    nodes = [[["x", 0, 0, kwargs]]]
    of = {"class_name": "TFOpLambda", "name": "f", "config": config}
    x = {"name": "x", "batch_input_shape": [None, 4], "dtype": "float32"}
    x = {"class_name": "InputLayer", "name": "x", "config": x, "inbound_nodes": []}
    config = {"name": "net", "layers": [x, of | {"inbound_nodes": nodes}]}
    config |= {"input_layers": [["x", 0, 0]], "output_layers": [["f", 0, 0]]}
    return {"class_name": "Functional", "config": config}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            call("io.read_file"),
            r"layer 'f' \(tf.io.read_file\) calls a TensorFlow function",
        ),
        (call("reshape", shape=[2], order="F"), r"f' .* supported: with order='F'"),
        (call("math.add"), "supported: 'y'"),
        (call("__operators__.getitem", slice_spec={"x": []}), "index that is an array"),
    ],
)
def test_unsupported_tensorflow_functions_are_refused(config, words):
    with pytest.raises(WeightsError, match=words):
        read_model(config, keras2=True)


def test_models_that_are_not_compiled_or_have_a_damaged_optimizer(h5):
    with pytest.raises(WeightsError, match="is not compiled: leave compiled=True out"):
        import_model(h5, compiled=True)
    with h5py.File(h5, "r+") as file:
        adam = {"class_name": "Adam", "config": {"learning_rate": 0.5}}
        training = {"optimizer_config": adam, "loss": "mse"}
        file.attrs["training_config"] = json.dumps(training)
        file.attrs["keras_version"] = "2.15.0"
    *_, compiled = import_model(h5, compiled=True)
    assert compiled.opt_state is None  # of Keras 2
    assert set(compiled.losses) == {"y", "small", "other"}
    with h5py.File(h5, "r+") as file:
        file["optimizer_weights"] = h5py.SoftLink("/model_weights")
    import_model(h5)  # does not read the optimizer
    with h5.open("rb") as file, pytest.raises(WeightsError, match="damaged optimizer"):
        hdf5.optimizer_in(file, "x.h5")

"""Weight files are written and read without Keras."""

import errno
import io
import json
import subprocess
import sys
import zipfile

import h5py
import jax
import numpy as np
import pytest
from draws import MODELS, draw, same

from fdl import nn
from fdl.keras import WeightsError, load_weights, save_weights

# Dtypes are independent of the classes of layers, so one model is enough.
TYPES = [("mlp", dtype) for dtype in ("bfloat16", "float16", "float64")]


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, "float32") for name in MODELS), *TYPES]
)
def test_variables_are_restored_from_a_weights_file(tmp_path, name, dtype) -> None:
    model, x = MODELS[name]
    variables = draw(model, x, dtype=dtype)
    save_weights(tmp_path / "a.weights.h5", model, variables, x)
    loaded = load_weights(tmp_path / "a.weights.h5", model, x)
    same(loaded, variables)
    assert all(type(leaf) is np.ndarray for leaf in jax.tree.leaves(loaded))


@pytest.mark.parametrize(
    ("name", "dtype"), [("cnn", "float32"), ("mlp", "float32"), *TYPES]
)
def test_variables_are_restored_from_a_keras_file(tmp_path, name, dtype) -> None:
    model, x = MODELS[name]
    variables = draw(model, x, dtype=dtype)
    save_weights(str(tmp_path / "a.keras"), model, variables, x)
    same(load_weights(str(tmp_path / "a.keras"), model), variables)
    same(load_weights(tmp_path / "a.keras", model, x), variables)
    assert [path.name for path in tmp_path.iterdir()] == ["a.keras"]


def test_example_inputs_may_be_shapes(tmp_path) -> None:
    model, x = MODELS["words"]
    variables, shape = draw(model, x), jax.ShapeDtypeStruct(x.shape, x.dtype)
    save_weights(tmp_path / "a.weights.h5", model, variables, shape)
    same(load_weights(tmp_path / "a.weights.h5", model, shape), variables)


def test_variables_are_in_order_of_definition(tmp_path) -> None:
    model, x = MODELS["words"]
    variables = draw(model, x)
    save_weights(tmp_path / "a.weights.h5", model, variables, x)
    loaded = load_weights(tmp_path / "a.weights.h5", model, x)
    assert list(loaded) == ["params"]
    assert list(loaded["params"])[:3] == ["words", "both", "lstm"]


def test_layers_have_the_names_of_keras(tmp_path) -> None:
    model, x = MODELS["words"]
    save_weights(tmp_path / "a.weights.h5", model, draw(model, x), x)
    with h5py.File(tmp_path / "a.weights.h5") as file:
        names = {}
        file.visititems(
            lambda path, thing: (
                names.update({path: thing.shape})
                if isinstance(thing, h5py.Dataset)
                else None
            )
        )
        assert file["layers/multi_head_attention_1/vars"].attrs["name"] == "attention2"
    assert names["layers/embedding/vars/0"] == (20, 6)
    assert names["layers/lstm/cell/vars/0"] == (8, 20)
    assert names["layers/bidirectional/backward_layer/cell/vars/1"] == (4, 16)
    assert names["layers/multi_head_attention_1/output_dense/vars/0"] == (2, 3, 6)


def test_a_single_layer_is_a_model(tmp_path) -> None:
    model, x = nn.Dense(3), np.zeros((1, 2), np.float32)
    variables = draw(model, x)
    save_weights(tmp_path / "a.weights.h5", model, variables, x)
    same(load_weights(tmp_path / "a.weights.h5", model, x), variables)


def test_keras_is_not_needed(tmp_path) -> None:
    """Nor is h5py before a file is read or written."""
    program = f"""
import sys
for name in ("keras", "tensorflow"):
    sys.modules[name] = None  # importing it fails
import jax, numpy as np
from fdl.keras import load_weights, save_weights
from fdl.models import MLP
print("h5py" in sys.modules)
model, image = MLP(10, hidden_sizes=(64,)), np.zeros((1, 2, 2, 1), np.float32)
shapes = jax.eval_shape(model.init, jax.random.key(0), image)
variables = jax.tree.map(lambda x: np.ones(x.shape, x.dtype), shapes)
for name in ("a.keras", "a.weights.h5"):
    path = {str(tmp_path)!r} + "/" + name
    save_weights(path, model, variables, image)
    loaded = load_weights(path, model, image)
    print(loaded["params"]["head"]["kernel"].shape)
"""
    found = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert found.stdout.splitlines() == ["False", "(64, 10)", "(64, 10)"]


@pytest.mark.parametrize("name", ["a.weights.h5", "a.keras"])
def test_a_failure_leaves_the_old_file(tmp_path, name, monkeypatch) -> None:
    model, x = MODELS["cnn"]
    (tmp_path / name).write_text("old")

    def fail(*args):
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_weights(tmp_path / name, model, draw(model, x), x)
    assert (tmp_path / name).read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_missing_example_inputs_are_refused(tmp_path) -> None:
    model, x = MODELS["cnn"]
    variables = draw(model, x)
    with pytest.raises(WeightsError, match="pass an example input"):
        save_weights(tmp_path / "a.weights.h5", model, variables)
    save_weights(tmp_path / "a.weights.h5", model, variables, x)
    with pytest.raises(WeightsError, match="pass an example input"):
        load_weights(tmp_path / "a.weights.h5", model)


def test_errors_name_the_path_and_its_fault(tmp_path) -> None:
    model, x = MODELS["cnn"]
    (tmp_path / "folder.keras").mkdir()
    for name, message in [
        ("a.npz", r"a\.npz is neither a \.weights\.h5 nor a \.keras file"),
        ("a.h5", r"a\.h5 does not exist"),
        ("a.keras", r"a\.keras does not exist"),
        ("folder.keras", "is not a file"),
    ]:
        with pytest.raises(WeightsError, match=message):
            load_weights(tmp_path / name, model, x)
    with pytest.raises(WeightsError, match="neither"):
        save_weights(tmp_path / "a.npz", model, draw(model, x), x)


def test_a_description_contains_only_what_keras_needs(tmp_path) -> None:
    model, x = MODELS["mlp"]
    save_weights(tmp_path / "a.keras", model, draw(model, x, dtype="float64"), x)
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        config = json.loads(archive.read("config.json"))
        metadata = json.loads(archive.read("metadata.json"))
        with h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights:
            assert set(weights["layers"]) == {"dense", "dense_1", "dense_2"}
    layers = config["config"]["layers"]
    assert [layer["class_name"] for layer in layers] == (
        ["InputLayer", "Flatten", *["Dense", "Dropout"] * 2, "Dense"]
    )
    assert layers[0]["config"]["batch_shape"] == [None, 28, 28, 1]
    assert {layer["config"]["dtype"] for layer in layers} == {"float64"}
    assert set(metadata) == {"keras_version", "date_saved"}

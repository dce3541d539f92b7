"""Keras models on the command line: `fdl import`, and training from their weights."""

import json
from importlib import import_module
from pathlib import Path

import jax
import numpy as np
import pytest
from shell import fdl as command

import fdl
from fdl import tasks
from fdl.keras import KerasModel
from fdl.keras.graph.head import with_logits
from fdl.runs.errors import RunError
from fdl.runs.settings import configured
from fdl.runs.start import start_from
from fdl.weights import WeightsError
from lazily import Lazily, keras
from runs.small import edit, few

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
L = Lazily("keras.layers")


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with a classifier of digits, in two formats, and a linear regression."""
    folder = tmp_path_factory.mktemp("files")
    keras.utils.set_random_seed(1)
    image = L.Input((28, 28, 1), name="image")
    x = L.Conv2D(2, 5, strides=4, activation="relu", name="first")(image)
    x = L.Add()([x, L.BatchNormalization(name="norm")(x)])
    x = L.Dense(4, kernel_constraint="non_neg", name="middle")(L.Flatten()(x))
    x = L.Dense(10, activation="softmax", name="head")(L.Dropout(0.1)(x))
    digits = keras.Model(image, x, name="digits")
    for ending in ("keras", "h5"):
        digits.save(folder / f"digits.{ending}")
    row = L.Input((3,))
    line = keras.Sequential([row, L.Dense(1, trainable=False)], name="line")
    line.save(folder / "line.h5")
    return folder


def test_a_file_is_summarized(here) -> None:
    shown = command("import", "digits.keras", cwd=here).stdout
    (norm,) = (line for line in shown.splitlines() if line.startswith("norm"))
    assert norm.split() == ["norm", "BatchNormalization", "6x6x2", "8", "4", "0"]
    total = "Functional digits on 28x28x1: 402 parameters, of which 398 are trained; "
    assert total in shown
    summary = json.loads(command("import", "line.h5", "--json", cwd=here).stdout)
    assert summary["name"] == "Sequential line"
    assert summary["layers"][0] == {
        "name": "dense",
        "kind": "Dense",
        "shapes": [[1]],
        "parameters": 4,
        "trained": 0,
        "flops": 6,
        "reads": ["input"],
    }


def test_check_compares_with_keras(here, monkeypatch) -> None:
    output = command("import", "digits.keras", "--check", cwd=here).stdout
    assert "differs from Keras by " in output
    model, variables = fdl.keras.import_model(here / "digits.keras")
    other = jax.tree.map(lambda x: x + 0.1, variables)
    monkeypatch.setattr(fdl.keras, "import_model", lambda path: (model, other))
    done = command("import", "digits.keras", "--check", "--to", "x", cwd=here, code=1)
    assert "in fdl and Keras differ by" in done.stderr


def test_an_imported_folder_predicts_and_exports_as_its_file(here, tmp_path) -> None:
    command("import", here / "digits.keras", "--to", "model", cwd=tmp_path)
    found = fdl.load(tmp_path / "model")
    assert isinstance(found, fdl.runs.ImportedModel)
    assert repr(found).endswith("model': Functional 'digits')")
    of_file = command("import", here / "digits.keras", cwd=tmp_path).stdout
    assert command("summary", "model", cwd=tmp_path).stdout == of_file
    x = np.random.default_rng(0).normal(size=(7, 28, 28, 1)).astype("f4")
    model, variables = fdl.keras.import_model(here / "digits.keras")
    expected = model.apply(variables, x)
    np.testing.assert_allclose(found.predict(x, batch_size=4), expected, atol=1e-6)
    for name in ("a.keras", "a.stablehlo", "a.safetensors"):
        command("export", "model", "--to", name, cwd=tmp_path)
    again, weights = fdl.keras.import_model(tmp_path / "a.keras")
    assert again == model
    jax.tree.map(np.testing.assert_array_equal, weights, variables)
    back = fdl.load(tmp_path / "a.stablehlo")
    np.testing.assert_allclose(back.predict(x), expected, atol=1e-6)
    done = command("import", here / "line.h5", "--to", "model", cwd=tmp_path, code=2)
    assert "model already exists" in done.stderr
    done = command("predict", "model", "x.png", cwd=tmp_path, code=2)
    assert "predict from Python" in done.stderr
    refused = [("a.onnx", "'add'"), ("a.txt", "must end with one of")]
    for name, words in refused:
        done = command("export", "model", "--to", name, cwd=tmp_path, code=2)
        assert words in done.stderr


def test_a_damaged_folder_is_refused(here, tmp_path) -> None:
    for number in range(3):
        command("import", here / "line.h5", "--to", f"m{number}", cwd=tmp_path)
    config = tmp_path / "m0" / "config.json"
    config.write_text(config.read_text().replace("Dense", "Dance"))
    with pytest.raises(RunError, match=r"'dense' \(Dance\) is of a class"):
        fdl.load(tmp_path / "m0")
    config = tmp_path / "m1" / "config.json"
    config.write_text(config.read_text().replace('"units": 1', '"units": 2'))
    with pytest.raises(
        WeightsError, match=r"has params/dense/bias as float32\[1\], .* needs \[2\]"
    ):
        fdl.load(tmp_path / "m1")
    weights = tmp_path / "m2" / "weights.safetensors"
    *rest, last = weights.read_bytes()
    weights.write_bytes(bytes([*rest, last ^ 1]))
    with pytest.raises(WeightsError, match="is damaged"):
        fdl.load(tmp_path / "m2")


@pytest.fixture
def digits(monkeypatch):
    monkeypatch.setattr(tasks, "load", lambda *args, **options: few(40))


TRAIN = ("--model", "digits.keras", "--dataset", "mnist-5k", "--epochs", 1)


def test_classify_trains_an_imported_model_from_its_weights(here, digits) -> None:
    settings = ("--batch-size", 20, "--freeze", "first/*", "norm/*")
    command("train", "classify", *TRAIN, *settings, "--run", "run", cwd=here)
    run = fdl.load(here / "run")  # without naming the model again
    assert isinstance(run.model, KerasModel)
    before = fdl.keras.import_model(here / "digits.keras")[1]["params"]
    after = run.state.params
    np.testing.assert_array_equal(after["first"]["kernel"], before["first"]["kernel"])
    moved = np.abs(after["head"]["kernel"] - before["head"]["kernel"]).max()
    assert 1e-5 < moved < 0.1
    assert np.min(after["middle"]["kernel"]) >= 0 > np.min(before["middle"]["kernel"])
    command("export", "run", "--to", "run.keras", cwd=here)
    x = np.random.default_rng(0).random((5, 28, 28, 1)).astype("f4")
    theirs = keras.models.load_model(here / "run.keras")(x)
    ours = run.model.apply(run.variables, x)
    np.testing.assert_allclose(theirs, ours, atol=1e-5)
    # The final softmax is removed: fdl trains on logits.
    assert np.ptp(np.sum(ours, axis=-1)) > 1e-3
    edit(here / "run", lambda config: config["keras_model"].update(class_name="?"))
    with pytest.raises(RunError, match="is damaged"):
        fdl.load(here / "run")


def test_sweeps_and_regress_train_imported_models(here, digits, monkeypatch) -> None:
    monkeypatch.setattr(import_module("fdl.runs.sweep"), "draw", lambda *args: None)
    sweep = ("sweep", "classify", *TRAIN, "--batch-size", 20, "--seeds", 1)
    command(*sweep, "--strategy", "vmap", "--run", "sweep", cwd=here)
    assert isinstance(fdl.load(here / "sweep" / "best").model, KerasModel)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 3)).astype("f4")
    data = fdl.data.from_arrays(x, x @ np.ones(3, "f4"))
    monkeypatch.setattr(tasks, "load", lambda *args, **options: data)
    monkeypatch.chdir(here)
    run = fdl.runs.train(
        "regress",
        model=here / "line.h5",
        dataset="mnist-5k",
        epochs=1,
        path=here / "line",
    )
    before = fdl.keras.import_model(here / "line.h5")[1]["params"]
    jax.tree.map(np.testing.assert_array_equal, run.state.params, before)  # frozen
    options = {"dataset": "mnist-5k", "epochs": 1, "path": here / "anew"}
    anew = fdl.runs.train("regress", model="line.h5", init_from="none", **options)
    kernel = anew.state.params["dense"]["kernel"]
    assert np.abs(kernel - before["dense"]["kernel"]).max() > 0.1


def test_unreadable_and_missing_files_are_refused(here, digits) -> None:
    (here / "bad.keras").write_text("?")
    for file, words in (("bad.keras", "cannot be read"), ("no.keras", "not exist")):
        options = ("--model", file, "--dataset", "mnist-5k")
        done = command("train", "classify", *options, cwd=here, code=2)
        assert file in done.stderr
        assert words in done.stderr


@pytest.mark.parametrize("name", ["digits.keras", "digits.h5"])
def test_a_head_for_other_classes_is_initialized_anew(here, digits, name, monkeypatch):
    monkeypatch.chdir(here)
    model, variables = fdl.keras.import_model("digits.keras")
    fdl.keras.save_weights("digits.weights.h5", model, variables)
    task, config = configured("classify", name, {"dataset": "mnist-5k"}, None)
    fresh = tasks.outline(task, config, few(40).info._replace(num_classes=3))
    start = start_from(task, fresh, Path(name))
    assert start.newly_initialized == ("params/head/bias", "params/head/kernel")
    found, before = start.state.params, variables["params"]
    assert found["head"]["kernel"].shape == (4, 3)
    for layer in before.keys() - {"head"}:
        jax.tree.map(np.testing.assert_array_equal, found[layer], before[layer])
    images = np.ones((2, 28, 28, 1), "f4")
    outputs = jax.eval_shape(fresh.model.apply, start.state.variables, images)
    assert outputs.shape == (2, 3)
    with pytest.raises(WeightsError, match="head"):  # a weight file describes no layers
        start_from(task, fresh, Path("digits.weights.h5"))


@pytest.mark.parametrize(
    "end", ["Softmax", "Activation", "Dense", "nested", "Conv2D", "none"]
)
def test_the_final_softmax_is_removed(end, tmp_path) -> None:
    x = L.Input((3,))
    first = L.Dense(4, activation="softmax")(x)  # stays
    y = L.Dense(2, name="head")(first)
    match end:
        case "Softmax":
            y = L.Softmax()(y)
        case "Activation":
            y = L.Activation("softmax")(y)
        case "Dense":
            y = L.Dense(2, activation="softmax", name="other")(y)
        case "nested":
            y = keras.Sequential([L.Dense(2), L.Softmax()])(y)
        case "Conv2D":  # as in MobileNet
            y = L.Conv2D(2, 1, trainable=False)(L.Reshape((1, 1, 2))(y))
            y = L.Softmax()(L.Activation("linear")(L.Reshape((2,))(y)))
    keras.Model(x, y).save(tmp_path / "x.keras")
    model, variables = fdl.keras.import_model(tmp_path / "x.keras")
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("f4")
    whole, plain = model.apply(variables, x), with_logits(model).apply(variables, x)
    wanted = plain if end == "none" else jax.nn.softmax(plain)
    np.testing.assert_allclose(whole, wanted, atol=1e-6)
    assert end == "none" or np.ptp(np.sum(plain, axis=-1)) > 1e-3
    wider = with_logits(model, 6)
    outputs, _ = jax.eval_shape(wider.init_with_output, jax.random.key(0), x)
    assert outputs.shape == (5, 6)
    assert not wider.frozen

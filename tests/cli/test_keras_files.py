"""Runs exported to Keras, and training from Keras files, by commands."""

from pathlib import Path

import numpy as np
import pytest
from shell import fdl

from fdl import data, tasks
from fdl.runs import load
from lazily import keras
from runs.small import few

pytestmark = pytest.mark.parity


def predict(file: Path, images: np.ndarray) -> np.ndarray:
    return keras.models.load_model(file, compile=False)(images).numpy()


def save(file: Path) -> None:
    """Save the model of the tutorial's script; Keras names its layers."""
    layers = keras.layers
    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    model.save(file)


@pytest.fixture(scope="module")
def images():
    return data.load("mnist-5k").test.image[:100].astype(np.float32) / 255


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a trained run, `mlp`."""
    folder, digits = tmp_path_factory.mktemp("runs"), few()
    options = ("--dataset", "mnist-5k", "--epochs", 1, "--batch-size", 20)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "load", lambda *args, **options: digits)
        fdl("train", "mlp", *options, "--run", "mlp", cwd=folder)
    return folder


def test_keras_predicts_the_same_from_an_exported_run(folder, images) -> None:
    fdl("export", "mlp", "--to", "mlp.keras", cwd=folder)
    run = load(folder / "mlp")
    ours = run.model.apply(run.variables, images)
    theirs = predict(folder / "mlp.keras", images)
    assert np.linalg.norm(ours - theirs) < 1e-6 * np.linalg.norm(theirs)


def test_an_existing_file_is_replaced_only_with_overwrite(folder) -> None:
    (folder / "mine.keras").write_text("my own")
    done = fdl("export", "mlp", "--to", "mine.keras", cwd=folder, code=2)
    assert "mine.keras already exists" in done.stderr
    assert (folder / "mine.keras").read_text() == "my own"
    fdl("export", "mlp", "--to", "mine.keras", "--overwrite", cwd=folder)
    assert (folder / "mine.keras").stat().st_size > 100_000


# Keras warns when it saves a model.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_training_starts_from_the_weights_of_a_keras_file(
    folder, images, monkeypatch
) -> None:
    digits = few()
    monkeypatch.setattr(tasks, "load", lambda *args, **options: digits)
    save(folder / "seed.keras")
    options = ("--dataset", "mnist-5k", "--epochs", 1, "--learning-rate", 1e-12)
    options += ("--batch-size", 60)
    start = ("--init-from", "seed.keras")
    fdl("train", "cnn", *options, *start, "--run", "cnn", cwd=folder)
    fdl("export", "cnn", "--to", "cnn.keras", cwd=folder)
    predictions = [
        predict(folder / f"{name}.keras", images) for name in ("seed", "cnn")
    ]
    # The learning rate is too small to change the weights of the file.
    np.testing.assert_allclose(*predictions, rtol=1e-4, atol=1e-6)
    assert predictions[0].std() > 0.01


def test_weights_of_another_model_are_refused_before_a_run_is_written(folder) -> None:
    fdl("export", "mlp", "--to", "other.keras", "--overwrite", cwd=folder)
    words = ("--dataset", "mnist-5k", "--init-from", "other.keras", "--run", "none")
    done = fdl("train", "cnn", *words, cwd=folder, code=2)
    assert "other.keras lacks a layer like the model's 'conv1'" in done.stderr
    assert not (folder / "none").exists()
    done = fdl(
        "train", "cnn", *words[:2], "--init-from", "no.keras", cwd=folder, code=2
    )
    assert "no.keras" in done.stderr

"""Runs to Keras and back, by commands, with Keras in processes of its own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from shell import fdl

from fdl import data
from fdl.runs import load

pytestmark = pytest.mark.parity

PREDICT = """
import keras, numpy as np, sys
model = keras.models.load_model(sys.argv[1])
np.save(sys.argv[3], model.predict(np.load(sys.argv[2]), verbose=0))
"""
# The tutorial's script, whose layers have the names that Keras gives them.
SAVE = """
import keras, sys
layers = keras.layers
keras.utils.set_random_seed(5)
model = keras.Sequential([
    layers.Input((28, 28, 1)),
    layers.Conv2D(32, (3, 3), activation="relu"),
    layers.MaxPooling2D((2, 2)),
    layers.Conv2D(64, (3, 3), activation="relu"),
    layers.MaxPooling2D((2, 2)),
    layers.Conv2D(64, (3, 3), activation="relu"),
    layers.Flatten(),
    layers.Dense(64, activation="relu"),
    layers.Dense(10),
])
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.save(sys.argv[1])
"""


def python(script: str, *words: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a trained run, `mlp`."""
    folder = tmp_path_factory.mktemp("runs")
    options = ("--dataset", "mnist-5k", "--epochs", 1)
    fdl("train", "mlp", *options, "--run", "mlp", cwd=folder)
    return folder


def test_keras_predicts_the_same_from_an_exported_run(folder) -> None:
    fdl("export", "mlp", "--to", "mlp.keras", cwd=folder)
    images = data.load("mnist-5k").test.image[:100].astype(np.float32) / 255
    np.save(folder / "images.npy", images)
    names = ("mlp.keras", "images.npy", "logits.npy")
    python(PREDICT, *(folder / name for name in names))
    run = load(folder / "mlp")
    ours = run.model.apply(run.variables, images)
    theirs = np.load(folder / "logits.npy")
    assert np.linalg.norm(ours - theirs) < 1e-6 * np.linalg.norm(theirs)


def test_an_exported_file_is_not_replaced_unasked(folder) -> None:
    (folder / "mine.keras").write_text("dear to me")
    done = fdl("export", "mlp", "--to", "mine.keras", cwd=folder, code=2)
    assert "mine.keras is there already" in done.stderr
    assert (folder / "mine.keras").read_text() == "dear to me"
    fdl("export", "mlp", "--to", "mine.keras", "--overwrite", cwd=folder)
    assert (folder / "mine.keras").stat().st_size > 100_000


def test_training_starts_from_what_the_tutorials_script_saved(folder) -> None:
    python(SAVE, folder / "seed.keras")
    options = ("--dataset", "mnist-5k", "--epochs", 1, "--learning-rate", 1e-12)
    start = ("--init-from", "seed.keras")
    fdl("train", "cnn", *options, *start, "--run", "cnn", cwd=folder)
    fdl("export", "cnn", "--to", "cnn.keras", cwd=folder)
    images = data.load("mnist-5k").test.image[:100].astype(np.float32) / 255
    np.save(folder / "images.npy", images)
    found = []
    for name in ("seed", "cnn"):
        files = (f"{name}.keras", "images.npy", f"{name}.npy")
        python(PREDICT, *(folder / file for file in files))
        found.append(np.load(folder / f"{name}.npy"))
    # The rate is so small that nothing was learnt: these are the weights of the file.
    np.testing.assert_allclose(*found, rtol=1e-4, atol=1e-6)
    assert found[0].std() > 0.01


def test_weights_of_another_model_are_refused_before_a_run_begins(folder) -> None:
    fdl("export", "mlp", "--to", "other.keras", "--overwrite", cwd=folder)
    words = ("--dataset", "mnist-5k", "--init-from", "other.keras", "--run", "none")
    done = fdl("train", "cnn", *words, cwd=folder, code=2)
    assert "other.keras lacks a layer like the model's 'conv1'" in done.stderr
    assert not (folder / "none").exists()
    done = fdl(
        "train", "cnn", *words[:2], "--init-from", "no.keras", cwd=folder, code=2
    )
    assert "no.keras" in done.stderr

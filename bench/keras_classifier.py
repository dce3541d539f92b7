"""Classifiers of MNIST in Keras, with the recipes of `fdl train`.

    python -m bench.keras_classifier NAME --seed 0 --run DIR [--data-dir DIR]

`cnn` is the script of TensorFlow's introduction; the recurrent `rnn`, `lstm` and `gru`
read an image row by row. All train for 5 epochs, in batches of 64, with Adam at 1e-3,
on all 60,000 images: nothing is selected, and the test set is evaluated once, at the
end. The fdl command is `fdl train NAME --validation none`.
"""

import importlib.metadata
import json
import platform
import time
from pathlib import Path
from typing import Any, Literal

import tyro

from fdl import data

Name = Literal["cnn", "rnn", "lstm", "gru"]


def make_model(name: Name) -> Any:
    """Return the model, from images in [0, 1] to probabilities."""
    import keras

    layers = keras.layers
    recurrent = {"rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
    if name == "cnn":
        body = [
            layers.Conv2D(32, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
        ]
    else:
        body = [layers.Reshape((28, 28)), recurrent[name](128)]
    head = layers.Dense(10, activation="softmax")
    return keras.Sequential([layers.Input((28, 28, 1)), *body, head])


def main(
    name: tyro.conf.Positional[Name],
    /,
    *,
    seed: int,
    run: Path,
    data_dir: Path | None = None,
) -> None:
    """Train for 5 epochs, in batches of 64, with Adam at 1e-3, like `fdl train`.

    Args:
        name: Name of the model.
        seed: Random seed.
        run: Folder for result.json.
        data_dir: Folder of the original data files.
    """
    import keras

    mnist = data.load("mnist", data_dir=data_dir, validation=None)
    keras.utils.set_random_seed(seed)
    model = make_model(name)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        steps_per_execution=50,  # faster, and the same numbers
    )
    train, test = (
        (part.image.astype("float32") / 255, part.label)
        for part in (mnist.train, mnist.test)
    )
    started = time.perf_counter()
    model.fit(*train, epochs=5, batch_size=64, verbose=0)
    seconds = time.perf_counter() - started
    loss, accuracy = model.evaluate(*test, batch_size=500, verbose=0)
    packages = ("keras", "tensorflow-cpu", "numpy")
    versions = {name: importlib.metadata.version(name) for name in packages}
    result = {
        "model": name,
        "dataset": mnist.info.name,
        "checksum": mnist.info.checksum,
        "seed": seed,
        "metrics": {"accuracy": accuracy, "loss": loss},
        "seconds": {"train": seconds},
        "versions": {"python": platform.python_version(), **versions},
    }
    run.mkdir(parents=True)
    (run / "result.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    tyro.cli(main)

"""The seed CNN in Keras: the introduction's script, with a seed and a result file.

python -m bench.keras_cnn --seed 0 --run DIR [--data-dir DIR]
"""

import importlib.metadata
import json
import platform
import time
from pathlib import Path

import tyro

from fdl import data


def main(*, seed: int, run: Path, data_dir: Path | None = None) -> None:
    """Train for 5 epochs, batches of 64, Adam at 1e-3, as `fdl train cnn` does.

    Args:
        seed: Source of all randomness.
        run: Folder for result.json.
        data_dir: Folder of the original data files.
    """
    import keras

    layers = keras.layers
    mnist = data.load("mnist", data_dir=data_dir)
    keras.utils.set_random_seed(seed)
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
            layers.Dense(10, activation="softmax"),
        ]
    )
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

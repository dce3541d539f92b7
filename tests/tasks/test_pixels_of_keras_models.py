"""A Keras model gets pixels in the range that it expects."""

import jax
import numpy as np
import pytest

import fdl
from fdl.keras.graph.model import KerasModel
from fdl.keras.graph.read import read_model
from fdl.tasks import find

IMAGE = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), np.uint8)


def layer(kind: str, **options) -> dict:
    return {"class_name": kind, "config": {"name": kind.lower(), **options}}


def sequential(*layers: dict, name: str = "net") -> dict:
    entry = layer("InputLayer", batch_shape=[None, 4, 4, 1])
    return layer("Sequential", layers=[entry, *layers]) | {"name": name}


RESCALE = layer("Rescaling", scale=1 / 127.5, offset=-1.0)
FLIP = layer("RandomFlip", mode="horizontal")
END = (layer("Flatten"), layer("Dense", units=10))


@pytest.mark.parametrize(
    ("layers", "largest"),
    [
        ([RESCALE, *END], 255),
        ([FLIP, RESCALE, *END], 255),
        ([layer("ZeroPadding2D", padding=1), RESCALE, *END], 255),
        ([sequential(FLIP, RESCALE), *END], 255),
        (END, 1),
        ([FLIP, *END], 1),
        ([layer("Rescaling", scale=255.0), *END], 1),
        ([layer("Conv2D", filters=2, kernel_size=1), RESCALE, *END], 1),
    ],
)
def test_pixels_are_scaled_once(layers, largest) -> None:
    model = KerasModel(read_model(sequential(*layers)))
    info = fdl.data.from_arrays(np.repeat(IMAGE, 10, 0), np.arange(30) % 10).info
    learner = find("classify").learn(
        model, find("classify").config(dataset="mnist"), info
    )
    state = learner.init(0, (IMAGE, np.arange(3)))
    logits = model.apply(state.variables, IMAGE * np.float32(largest / 255))
    wanted = jax.nn.softmax(logits)
    np.testing.assert_allclose(learner.predict(state, IMAGE), wanted, atol=1e-5)

"""Models as `.keras` files, which Keras opens."""

import numpy as np
import pytest

from fdl import models
from fdl.keras import load_weights, save_weights
from lazily import keras
from zoo import draw_variables

pytestmark = pytest.mark.parity

LATENT, IMAGE = np.zeros((1, 6), np.float32), np.zeros((1, 28, 28, 1), np.float32)
MODELS = {
    "fast cnn": (models.FastCNN(5, (3, 2), 4), IMAGE),
    "dense generator": (models.DenseGenerator(), LATENT),
    "dense discriminator": (models.DenseDiscriminator(), IMAGE),
    "dcgan generator": (models.DCGANGenerator(features=(4, 2)), LATENT),
    "dcgan discriminator": (models.DCGANDiscriminator((2, 4), 0.3), IMAGE),
}


@pytest.mark.parametrize("name", MODELS)
def test_keras_computes_the_same_from_the_file(tmp_path, name) -> None:
    model, example = MODELS[name]
    variables = draw_variables(model, example)
    save_weights(tmp_path / "x.keras", model, variables, example)
    twin = keras.models.load_model(tmp_path / "x.keras")
    x = np.random.default_rng(0).normal(size=(3, *example.shape[1:])).astype("f")
    ours = model.apply(variables, x)
    assert np.isfinite(ours).all()
    np.testing.assert_allclose(ours, twin(x), rtol=1e-4, atol=1e-5)
    back = load_weights(tmp_path / "x.keras", model)
    assert set(back) == set(variables)

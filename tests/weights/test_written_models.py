"""Models are saved as `.keras` files, which Keras opens."""

import flax.linen as linen
import jax
import numpy as np
import pytest

from fdl import models, nn
from fdl.keras import WeightsError, load_weights, save_weights
from fdl.models.googlenet import MODULES
from lazily import keras
from zoo import draw_variables

pytestmark = pytest.mark.parity


class Normed(linen.Module):
    """A convolution with local response normalization."""

    @linen.compact
    def __call__(self, x):
        return nn.local_response_norm(nn.Conv2D(4, (3, 3))(x), size=3, alpha=0.5)


LATENT, IMAGE = np.zeros((1, 6), np.float32), np.zeros((1, 28, 28, 1), np.float32)
MODELS = {
    "fast cnn": (models.FastCNN(5, (3, 2), 4), IMAGE),
    "dense generator": (models.DenseGenerator(), LATENT),
    "dense discriminator": (models.DenseDiscriminator(), IMAGE),
    "dcgan generator": (models.DCGANGenerator(features=(4, 2)), LATENT),
    "dcgan discriminator": (models.DCGANDiscriminator((2, 4), 0.3), IMAGE),
    "local response": (Normed(), IMAGE),
    "residual, gated": (
        models.CIFARResNet(5, depth=8, width=2, shortcut="A", se_ratio=2),
        IMAGE,
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_keras_predicts_the_same_from_the_file(tmp_path, name) -> None:
    model, example = MODELS[name]
    variables = draw_variables(model, example)
    save_weights(tmp_path / "x.keras", model, variables, example)
    twin = keras.models.load_model(tmp_path / "x.keras")
    x = np.random.default_rng(0).normal(size=(3, *example.shape[1:])).astype("f")
    ours = jax.jit(model.apply)(variables, x)
    assert np.isfinite(ours).all()
    np.testing.assert_allclose(ours, twin(x), rtol=1e-4, atol=1e-5)
    back = load_weights(tmp_path / "x.keras", model)
    assert set(back) == set(variables)


def test_errors_name_what_keras_does_not_have(tmp_path) -> None:
    model = models.LeNet5(10, border=2)
    variables = draw_variables(model, IMAGE)
    with pytest.raises(WeightsError, match=r"weight kernel of c3 \(TableConv2D\)"):
        save_weights(tmp_path / "x.keras", model, variables, IMAGE)
    assert not list(tmp_path.iterdir())


def test_layers_of_training_alone_are_left_out(tmp_path) -> None:
    model = models.GoogLeNet(
        3,
        modules=(MODULES[0]._replace(one=3, three=2),),
        auxiliary=("3a",),
        stem=(2, 2, 3),
        stem_stride=1,
        auxiliary_size=(2, 3),
    )
    variables = draw_variables(model, IMAGE)
    with pytest.warns(UserWarning, match="not depend on 'auxiliary1_conv', 'auxili"):
        save_weights(tmp_path / "x.keras", model, variables, IMAGE)
    twin = keras.models.load_model(tmp_path / "x.keras")
    x = np.random.default_rng(0).normal(size=(2, 28, 28, 1)).astype("f")
    ours = jax.jit(model.apply)(variables, x)
    np.testing.assert_allclose(ours, twin(x), rtol=1e-4, atol=1e-5)
    deployed = load_weights(tmp_path / "x.keras", model.clone(auxiliary=()))
    assert variables["params"].keys() - deployed["params"].keys() == {"auxiliary1"}

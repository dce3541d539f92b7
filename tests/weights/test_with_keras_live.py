"""Weights are copied to and from Keras models in memory, bit for bit."""

import jax
import numpy as np
import pytest
from draws import CNN_INPUT, MODELS, draw, same
from twins import TWINS, keras_cnn, randomize, weights_of

from fdl import models
from fdl.keras import WeightsError, from_keras, load_weights, to_keras
from lazily import Lazily, keras

layers = Lazily("keras.layers")
pytestmark = [
    pytest.mark.parity,
    # Keras warns when it saves weights of TensorFlow.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
each_model = pytest.mark.parametrize("name", TWINS)
each_precision = pytest.mark.parametrize(
    "precision", ["float32", "float64"], indirect=True
)


@each_model
@each_precision
def test_round_trip_in_memory(name, precision) -> None:
    model, _ = MODELS[name]
    one, two = TWINS[name](), TWINS[name]()
    randomize(one)
    variables = from_keras(model, one)
    assert variables["params"]
    to_keras(variables, two, model)
    assert weights_of(two) == weights_of(one)
    same(from_keras(model, two), variables)


OUR_NAMES = {
    "gamma": "scale",
    "beta": "bias",
    "moving_mean": "mean",
    "moving_variance": "var",
    "embeddings": "embedding",
}


@each_model
def test_arrays_of_a_layer_keep_their_roles(name) -> None:
    """A round trip does not reveal a swap of arrays of the same shape."""
    model, _ = MODELS[name]
    twin = TWINS[name]()
    randomize(twin)
    found = {
        leaf.tobytes(): path[-1].key
        for path, leaf in jax.tree.leaves_with_path(from_keras(model, twin))
    }
    for variable in twin.weights:
        theirs = variable.path.split("/")[-1]
        assert found[variable.numpy().tobytes()] == OUR_NAMES.get(theirs, theirs)


def test_names_decide_rather_than_order(tmp_path) -> None:
    """In Keras, the layer named as the second comes first."""
    names = ("dense2", "dense1")
    twin = keras.Sequential(
        [
            layers.Input((16,)),
            *(layers.Dense(16, name=name) for name in names),
            layers.Dense(10, name="head"),
        ]
    )
    randomize(twin)
    model, x = models.MLP(10, hidden_sizes=(16, 16)), np.zeros((1, 4, 4, 1), np.float32)
    variables = from_keras(model, twin, x)
    for name in names:
        np.testing.assert_array_equal(
            variables["params"][name]["kernel"], twin.get_layer(name).get_weights()[0]
        )
    twin.save_weights(tmp_path / "x.weights.h5")
    same(load_weights(tmp_path / "x.weights.h5", model, x), variables)
    for given in (None, model):
        new = draw(model, x, seed=1 + (given is None))
        to_keras(new, twin, given, x)
        same(from_keras(model, twin, x), new)


def test_branches_that_are_used_in_another_order_than_created_are_refused() -> None:
    """Keras lists layers by depth: the shortcut, which is created first, comes last."""
    x = layers.Input((16,))
    short = layers.Dense(16)
    long = [layers.Dense(16), layers.Dense(16)]
    out = layers.Add()([short(x), long[1](long[0](x))])
    twin = keras.Model(x, layers.Dense(10)(out))
    inputs = np.zeros((1, 4, 4, 1), np.float32)
    with pytest.raises(WeightsError, match="does not define the order"):
        from_keras(models.MLP(10, hidden_sizes=(16, 16, 16)), twin, inputs)


def test_nested_models_may_have_layers_of_the_same_name() -> None:
    def part():
        inputs = layers.Input((16,))
        return keras.Model(inputs, layers.Dense(16, name="hidden")(inputs))

    parts = [part(), part()]
    x = layers.Input((16,))
    twin = keras.Model(x, layers.Dense(10)(parts[1](parts[0](x))))
    randomize(twin)
    model, inputs = models.MLP(10, hidden_sizes=(16, 16)), np.zeros((1, 4, 4, 1))
    variables = from_keras(model, twin, inputs)
    for name, one in zip(("dense1", "dense2"), parts, strict=True):
        np.testing.assert_array_equal(
            variables["params"][name]["kernel"], one.get_weights()[0]
        )


def test_subclassed_models(tmp_path) -> None:
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            # In the alphabetical order of files, these two are swapped.
            self.zeroth = layers.Dense(16)
            self.first = layers.Dense(16)
            self.head = layers.Dense(10)

        def call(self, x):
            return self.head(self.first(self.zeroth(x)))

    twin = Subclassed()
    model, x = models.MLP(10, hidden_sizes=(16, 16)), np.zeros((1, 4, 4, 1), np.float32)
    with pytest.raises(WeightsError, match="lacks a layer"):
        from_keras(model, twin, x)  # not built yet
    twin(np.ones((1, 16)))
    with pytest.raises(WeightsError, match="does not define its inputs"):
        from_keras(model, twin)
    variables = from_keras(model, twin, x)
    np.testing.assert_array_equal(
        variables["params"]["dense2"]["kernel"], twin.first.get_weights()[0]
    )
    twin.save_weights(tmp_path / "x.weights.h5")
    same(load_weights(tmp_path / "x.weights.h5", model, x), variables)
    to_keras(draw(model, x), twin, model, x)
    same(from_keras(model, twin, x), draw(model, x))


def test_without_a_model_names_or_shapes_must_decide() -> None:
    model, x = models.MLP(10, hidden_sizes=(16, 16, 16)), CNN_INPUT
    variables = draw(model, x)
    twin = keras.Sequential([layers.Input((28, 28, 1)), layers.Flatten()])
    for width in (16, 16, 16, 10):
        twin.add(layers.Dense(width))
    before = weights_of(twin)
    with pytest.raises(WeightsError, match=r"do not define the order .* pass model="):
        to_keras(variables, twin)
    assert weights_of(twin) == before
    to_keras(variables, twin, model)
    same(from_keras(model, twin), variables)
    by_shape = draw(models.CNN(10), x)
    twin = keras_cnn(None)  # all of its layers differ in shapes
    to_keras(by_shape, twin)
    same(from_keras(models.CNN(10), twin), by_shape)


@pytest.mark.parametrize("damage", ["shape", "type", "lack"])
def test_a_mismatch_changes_nothing(damage) -> None:
    model, twin = models.CNN(10), keras_cnn()
    variables, before = draw(model, CNN_INPUT), weights_of(twin)
    head = variables["params"]["head"]
    if damage == "shape":
        head["bias"] = np.ones(9, np.float32)
    elif damage == "type":
        head["bias"] = head["bias"].astype(np.float64)
    else:
        del head["bias"]
    for given in (None, model):
        with pytest.raises(WeightsError):
            to_keras(variables, twin, given)
        assert weights_of(twin) == before

"""Weights to and from Keras itself, live and in its files, bit for bit."""

import jax
import keras
import numpy as np
import pytest
from draws import CNN_INPUT, MODELS, draw, same
from look_alikes import Blocks, Words

from fdl import models
from fdl.keras import (
    WeightsError,
    from_keras,
    load_weights,
    save_weights,
    to_keras,
)

layers = keras.layers
pytestmark = [
    pytest.mark.parity,
    # Keras' own, when it saves weights that TensorFlow holds.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
precisions = pytest.mark.parametrize("precision", ["float32", "float64"])


@pytest.fixture(autouse=True)
def precision(request):
    """The precision in which Keras makes weights, float32 unless asked for."""
    precision = getattr(request, "param", "float32")
    set_precision(precision)
    yield precision
    set_precision("float32")


def set_precision(precision: str) -> None:
    keras.config.set_floatx(precision)
    keras.config.set_dtype_policy(precision)


def keras_cnn(names=("conv1", "conv2", "conv3", "dense", "head")):
    """The tutorial's model; without names, Keras gives them."""
    conv1, conv2, conv3, dense, head = names or [None] * 5
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, (3, 3), activation="relu", name=conv1),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu", name=conv2),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu", name=conv3),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name=dense),
            layers.Dense(10, name=head),
        ]
    )


def keras_mlp():
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(16, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10),
        ]
    )


def keras_words():
    one = inputs = layers.Input((7,), dtype="int32")
    x = layers.Embedding(20, 6)(one)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    x = layers.LSTM(5, return_sequences=True)(x)
    x = layers.GRU(5, return_sequences=True)(x)
    x = layers.SimpleRNN(6, return_sequences=True)(x)
    x = layers.MultiHeadAttention(2, 3)(x, x)
    x = layers.MultiHeadAttention(2, 3)(x, x)
    x = layers.AdditiveAttention()([x, x])
    return keras.Model(inputs, layers.LayerNormalization()(x))


def keras_blocks():
    x = inputs = layers.Input((9, 9, 4))
    for _ in range(12):
        x = layers.Conv2D(4, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
    x = layers.SeparableConv2D(5, 3)(x)
    x = layers.GroupNormalization(1)(x)
    return keras.Model(inputs, layers.Dense(4)(x))


TWINS = {
    "cnn": keras_cnn,
    "mlp": keras_mlp,
    "words": keras_words,
    "blocks": keras_blocks,
}
each_model = pytest.mark.parametrize("name", TWINS)


def randomize(keras_model) -> None:
    rng = np.random.default_rng(1)
    keras_model.set_weights(
        [rng.normal(size=weight.shape) for weight in keras_model.get_weights()]
    )


def weights_of(keras_model) -> list[bytes]:
    return [weight.tobytes() for weight in keras_model.get_weights()]


@each_model
@pytest.mark.parametrize("precision", ["float32", "float64"], indirect=True)
def test_live_there_and_back(name, precision) -> None:
    model, _ = MODELS[name]
    one, two = TWINS[name](), TWINS[name]()
    randomize(one)
    variables = from_keras(model, one)
    assert variables["params"]
    to_keras(variables, two, model)
    assert weights_of(two) == weights_of(one)
    same(from_keras(model, two), variables)


@each_model
@pytest.mark.parametrize("precision", ["float32", "float64"], indirect=True)
def test_weights_file_through_keras_and_back(tmp_path, name, precision) -> None:
    model, x = MODELS[name]
    variables = draw(model, x, dtype=precision)
    save_weights(tmp_path / "ours.weights.h5", model, variables, x)
    twin = TWINS[name]()
    twin.load_weights(tmp_path / "ours.weights.h5")
    same(from_keras(model, twin), variables)
    twin.save_weights(tmp_path / "theirs.weights.h5")
    same(load_weights(tmp_path / "theirs.weights.h5", model, x), variables)
    twin.save(tmp_path / "theirs.keras")
    same(load_weights(tmp_path / "theirs.keras", model), variables)


@pytest.mark.parametrize(
    "model",
    [
        models.CNN(10),
        models.CNN(3, features=(5, 5, 5), hidden_size=5),
        models.MLP(10),
        models.MLP(4, hidden_sizes=()),
        models.MLP(4, hidden_sizes=(6,) * 12, dropout_rate=0.25),
    ],
)
@pytest.mark.parametrize("precision", ["float32", "float64"], indirect=True)
def test_keras_file_through_keras_and_back(tmp_path, model, precision) -> None:
    shape = (28, 28, 1)
    x = np.random.default_rng(0).random((5, *shape)).astype(precision)
    variables = jax.tree.map(np.nan_to_num, draw(model, x[:1], dtype=precision))
    save_weights(tmp_path / "ours.keras", model, variables, x)
    twin = keras.models.load_model(tmp_path / "ours.keras")
    same(from_keras(model, twin), variables)
    with jax.enable_x64(precision == "float64"):
        ours = np.asarray(model.apply(variables, x))
    theirs = twin(x).numpy()
    assert ours.dtype == theirs.dtype == precision
    error = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
    assert error < {"float32": 1e-5, "float64": 1e-10}[precision]
    twin.save(tmp_path / "theirs.keras")
    same(load_weights(tmp_path / "theirs.keras", model), variables)


@pytest.mark.parametrize("optimizer", ["adam", keras.optimizers.Adam(amsgrad=True)])
def test_the_tutorials_script_leaves_a_file_to_load(tmp_path, optimizer) -> None:
    """Unnamed, not the first model of its process, trained, with its optimizer."""
    keras_cnn(None)
    twin = keras_cnn(None)
    twin.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    twin.fit(np.ones((2, 28, 28, 1)), np.zeros(2), verbose=0)
    model = models.CNN(10)
    expected = from_keras(model, twin)
    np.testing.assert_array_equal(
        expected["params"]["conv3"]["kernel"], twin.layers[4].get_weights()[0]
    )
    twin.save(tmp_path / "x.keras")
    same(load_weights(tmp_path / "x.keras", model), expected)
    twin.save_weights(tmp_path / "x.weights.h5")
    same(load_weights(tmp_path / "x.weights.h5", model, CNN_INPUT), expected)


def test_dropout_is_described(tmp_path) -> None:
    model = models.MLP(4, hidden_sizes=(6, 5), dropout_rate=0.25)
    save_weights(tmp_path / "x.keras", model, draw(model, CNN_INPUT), CNN_INPUT)
    twin = keras.models.load_model(tmp_path / "x.keras")
    dropout = [one for one in twin.layers if isinstance(one, layers.Dropout)]
    assert [one.rate for one in dropout] == [0.25, 0.25]
    assert [one.name for one in twin.layers if one.weights] == [
        "dense1",
        "dense2",
        "head",
    ]


def test_names_decide_over_order(tmp_path) -> None:
    """In Keras, the second hidden layer comes first."""
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


def nested(first: str, second: str):
    """Two models in a model, of layers of the same names."""

    def part(name: str):
        x = inputs = layers.Input((9, 9, 4))
        x = layers.Conv2D(4, 3, padding="same", name="conv")(x)
        return keras.Model(inputs, layers.BatchNormalization(name="norm")(x), name=name)

    x = inputs = layers.Input((9, 9, 4))
    x = part(second)(part(first)(x))
    x = layers.SeparableConv2D(5, 3, name="separable")(x)
    x = layers.GroupNormalization(1, name="norm")(x)
    return keras.Model(inputs, layers.Dense(4, name="head")(x))


@pytest.mark.parametrize("names", [("block1", "block2"), ("block2", "block1")])
def test_models_in_models(tmp_path, names) -> None:
    model = Blocks(num_blocks=2)
    twin = nested(*names)
    randomize(twin)
    twin.save(tmp_path / "x.keras")
    variables = load_weights(tmp_path / "x.keras", model)
    for name in names:
        np.testing.assert_array_equal(
            variables["params"][name]["conv"]["kernel"],
            twin.get_layer(name).get_layer("conv").get_weights()[0],
        )
    # Live, Keras does not say in which of the models a layer is: order decides.
    if names == ("block1", "block2"):
        same(from_keras(model, twin), variables)


def test_branches_that_are_created_in_another_order_than_used() -> None:
    """Keras lists by depth, so that the short cut, though first, is listed last."""
    x = layers.Input((16,))
    short = layers.Dense(16)
    long = [layers.Dense(16), layers.Dense(16)]
    out = layers.Add()([short(x), long[1](long[0](x))])
    twin = keras.Model(x, layers.Dense(10)(out))
    inputs = np.zeros((1, 4, 4, 1), np.float32)
    with pytest.raises(WeightsError, match="does not tell the order"):
        from_keras(models.MLP(10, hidden_sizes=(16, 16, 16)), twin, inputs)


def test_unnamed_models_in_models_that_tell_no_order(tmp_path) -> None:
    inner = keras.Sequential([layers.Input((16,)), layers.Dense(16, name="b")])
    twin = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(16, name="a"),
            inner,
            layers.Dense(16, name="c"),
            layers.Dense(10),
        ]
    )
    model = models.MLP(10, hidden_sizes=(16, 16, 16))
    live = from_keras(model, twin)
    np.testing.assert_array_equal(
        live["params"]["dense2"]["kernel"], inner.layers[0].get_weights()[0]
    )
    twin.save(tmp_path / "x.keras")
    with pytest.raises(WeightsError, match="does not tell the order"):
        load_weights(tmp_path / "x.keras", model)


def test_subclassed_models(tmp_path) -> None:
    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            # By the alphabet, which files are listed by, these are the other way round.
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
    with pytest.raises(WeightsError, match="does not say what its inputs are"):
        from_keras(model, twin)
    variables = from_keras(model, twin, x)
    np.testing.assert_array_equal(
        variables["params"]["dense2"]["kernel"], twin.first.get_weights()[0]
    )
    twin.save_weights(tmp_path / "x.weights.h5")
    same(load_weights(tmp_path / "x.weights.h5", model, x), variables)
    to_keras(draw(model, x), twin, model, x)
    same(from_keras(model, twin, x), draw(model, x))


def test_without_model_names_or_forms_must_tell() -> None:
    model, x = models.MLP(10, hidden_sizes=(16, 16, 16)), CNN_INPUT
    variables = draw(model, x)
    twin = keras.Sequential([layers.Input((28, 28, 1)), layers.Flatten()])
    for width in (16, 16, 16, 10):
        twin.add(layers.Dense(width))
    before = weights_of(twin)
    with pytest.raises(WeightsError, match=r"do not tell the order .* pass model="):
        to_keras(variables, twin)
    assert weights_of(twin) == before
    to_keras(variables, twin, model)
    same(from_keras(model, twin), variables)
    by_form = draw(models.CNN(10), x)
    twin = keras_cnn(None)  # all of its layers differ in shapes
    to_keras(by_form, twin)
    same(from_keras(models.CNN(10), twin), by_form)


@pytest.mark.parametrize("spoil", ["shape", "type", "lack"])
def test_a_mismatch_changes_nothing(spoil) -> None:
    model, twin = models.CNN(10), keras_cnn()
    variables, before = draw(model, CNN_INPUT), weights_of(twin)
    head = variables["params"]["head"]
    if spoil == "shape":
        head["bias"] = np.ones(9, np.float32)
    elif spoil == "type":
        head["bias"] = head["bias"].astype(np.float64)
    else:
        del head["bias"]
    for given in (None, model):
        with pytest.raises(WeightsError):
            to_keras(variables, twin, given)
        assert weights_of(twin) == before


def test_a_layer_more_is_refused(tmp_path) -> None:
    normalization = layers.Normalization()
    normalization.adapt(np.arange(8.0).reshape(2, 2, 2, 1))
    twin = keras.Sequential([layers.Input((28, 28, 1)), normalization])
    for keras_layer in keras_cnn().layers:
        twin.add(keras_layer)
    with pytest.raises(WeightsError, match=r"'normalization.* which the model has not"):
        from_keras(models.CNN(10), twin)
    twin.save(tmp_path / "x.keras")
    with pytest.raises(WeightsError, match=r"'normalization.* which the model has not"):
        load_weights(tmp_path / "x.keras", models.CNN(10))


def test_sharded_weights_are_refused(tmp_path) -> None:
    twin = keras_cnn()
    twin.save_weights(tmp_path / "x.weights.json", max_shard_size=0.001)
    with pytest.raises(WeightsError, match="neither"):
        load_weights(tmp_path / "x.weights.json", models.CNN(10), CNN_INPUT)


def test_the_format_of_keras_2_is_refused(tmp_path) -> None:
    twin = keras_cnn()
    twin.save(tmp_path / "x.h5")
    (tmp_path / "x.h5").rename(tmp_path / "x.weights.h5")
    with pytest.raises(WeightsError, match="format of Keras 2"):
        load_weights(tmp_path / "x.weights.h5", models.CNN(10), CNN_INPUT)


def test_open_sizes_and_types_of_inputs_are_read(tmp_path) -> None:
    model = Words()
    inputs = layers.Input((None,), dtype="int64")
    twin = keras.Model(inputs, keras_words()(inputs))
    randomize(twin)
    twin.save(tmp_path / "x.keras")
    same(load_weights(tmp_path / "x.keras", model), from_keras(model, twin))

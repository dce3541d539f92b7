"""Weights survive a round trip through Keras' own files, bit for bit."""

import jax
import numpy as np
import pytest
from draws import CNN_INPUT, MODELS, draw, same
from look_alikes import Blocks, Words
from twins import TWINS, keras_cnn, keras_words, randomize

from fdl import models
from fdl.keras import WeightsError, from_keras, load_weights, save_weights
from lazily import Lazily, keras

layers = Lazily("keras.layers")
pytestmark = [
    pytest.mark.parity,
    # Keras warns when it saves weights of TensorFlow.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


# Dtypes are independent of the classes of layers, so one model is enough.
@pytest.mark.parametrize(
    ("name", "precision"),
    [*((name, "float32") for name in TWINS), ("mlp", "float64")],
    indirect=["precision"],
)
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


IMAGE, ROWS = (28, 28, 1), (9, 6)


# In double precision, rounding cannot hide a wrong formula.
@pytest.mark.parametrize(
    ("model", "shape", "precision"),
    [
        (models.CNN(10), IMAGE, "float32"),
        (models.CNN(3, features=(5, 5, 5), hidden_size=5), IMAGE, "float64"),
        (models.MLP(10), IMAGE, "float64"),
        (models.MLP(4, hidden_sizes=()), IMAGE, "float64"),
        (models.MLP(4, hidden_sizes=(6,) * 10, dropout_rate=0.25), IMAGE, "float64"),
        (models.SimpleRNNClassifier(4, hidden_size=5), ROWS, "float64"),
        (models.LSTMClassifier(4, 5, num_layers=2, dropout_rate=0.25), ROWS, "float64"),
        (models.GRUClassifier(4, 5, num_layers=2, bidirectional=True), ROWS, "float64"),
    ],
    indirect=["precision"],
)
def test_keras_file_through_keras_and_back(tmp_path, model, shape, precision) -> None:
    x = np.random.default_rng(0).random((5, *shape)).astype(precision)
    variables = jax.tree.map(np.nan_to_num, draw(model, x[:1], dtype=precision))
    save_weights(tmp_path / "ours.keras", model, variables, x)
    twin = keras.models.load_model(tmp_path / "ours.keras")
    same(from_keras(model, twin), variables)
    with jax.enable_x64(precision == "float64"):
        ours = np.asarray(jax.jit(model.apply)(variables, x))
    theirs = twin(x).numpy()
    assert ours.dtype == theirs.dtype == precision
    error = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
    assert error < {"float32": 1e-5, "float64": 1e-10}[precision]
    twin.save(tmp_path / "theirs.keras")
    same(load_weights(tmp_path / "theirs.keras", model), variables)


def test_files_of_the_tutorials_script_are_read(tmp_path) -> None:
    """The model has no names, is not the first of its process, and was trained."""
    keras_cnn(None)
    twin = keras_cnn(None)
    optimizer = keras.optimizers.Adam(amsgrad=True)  # with three slots
    loss = "sparse_categorical_crossentropy"
    twin.compile(optimizer, loss, metrics=["accuracy"], run_eagerly=True)
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


def nested(first: str, second: str):
    """Return a model with two nested models, whose layers have the same names."""

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
def test_nested_models_are_matched_by_name(tmp_path, names) -> None:
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
    # In memory, Keras does not tell in which model a layer is, so order decides.
    if names == ("block1", "block2"):
        same(from_keras(model, twin), variables)


def test_unnamed_nested_models_define_no_order_in_a_file(tmp_path) -> None:
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
    with pytest.raises(WeightsError, match="does not define the order"):
        load_weights(tmp_path / "x.keras", model)


def test_an_additional_layer_is_refused(tmp_path) -> None:
    normalization = layers.Normalization()
    normalization.adapt(np.arange(8.0).reshape(2, 2, 2, 1))
    twin = keras.Sequential([layers.Input((28, 28, 1)), normalization])
    for keras_layer in keras_cnn().layers:
        twin.add(keras_layer)
    with pytest.raises(
        WeightsError, match=r"'normalization.* which the model does not have"
    ):
        from_keras(models.CNN(10), twin)
    twin.save(tmp_path / "x.keras")
    with pytest.raises(
        WeightsError, match=r"'normalization.* which the model does not have"
    ):
        load_weights(tmp_path / "x.keras", models.CNN(10))


def test_sharded_weights_are_refused(tmp_path) -> None:
    twin = keras_cnn()
    twin.save_weights(tmp_path / "x.weights.json", max_shard_size=0.001)
    with pytest.raises(WeightsError, match="neither"):
        load_weights(tmp_path / "x.weights.json", models.CNN(10), CNN_INPUT)


def test_a_whole_model_is_not_read_as_weights(tmp_path) -> None:
    twin = keras_cnn()
    twin.save(tmp_path / "x.h5")
    (tmp_path / "x.h5").rename(tmp_path / "x.weights.h5")
    with pytest.raises(WeightsError, match="is a whole model: import it"):
        load_weights(tmp_path / "x.weights.h5", models.CNN(10), CNN_INPUT)


def test_unknown_sizes_and_dtypes_of_inputs_are_read(tmp_path) -> None:
    model = Words()
    inputs = layers.Input((None,), dtype="int64")
    twin = keras.Model(inputs, keras_words()(inputs))
    randomize(twin)
    twin.save(tmp_path / "x.keras")
    same(load_weights(tmp_path / "x.keras", model), from_keras(model, twin))

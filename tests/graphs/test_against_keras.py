"""Imported models compared with Keras: outputs, gradients, statistics and penalties."""

import contextlib

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from fdl.keras import import_model, save_weights
from graphs.keras_on_jax import exact
from graphs.keras_operation_models import MODELS
from lazily import keras, tf

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`:UserWarning"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
    pytest.mark.filterwarnings("ignore:Layer .*does not support masking:UserWarning"),
]

BATCH = 3
TOLERANCE = {"float32": 2e-6, "float64": 1e-10}


@pytest.fixture
def precision(request):
    keras.config.set_floatx(request.param)
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def drawn(model, rng):
    """Give a model distinct weights, and positive variances."""
    for variable in model.weights:
        if "seed" in variable.path or "int" in variable.dtype:
            continue
        values = rng.normal(size=variable.shape) * 0.4
        if "variance" in variable.path or "gamma" in variable.path:
            values = np.abs(values) + 0.5
        variable.assign(values)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def inputs_for(model, rng):
    def one(tensor):
        shape = [BATCH if size is None else size for size in tensor.shape]
        if tensor.dtype == "bool":
            return rng.random(shape) < 0.7
        if "int" in tensor.dtype:
            return rng.integers(0, 5, shape).astype(tensor.dtype)
        values = rng.normal(size=shape).astype(tensor.dtype)
        if tensor.name == "other":  # has steps to mask
            values[rng.random(shape[:2]) < 0.4] = 0
        return values

    return keras.tree.map_structure(one, model._inputs_struct)


def error(ours, theirs):
    """Return the largest difference of two arrays, relative to the largest value."""
    ours, theirs = np.asarray(ours), theirs.numpy()
    if ours.shape != theirs.shape:
        return np.inf
    scale = max(1e-3, float(np.abs(theirs.astype(np.float64)).max(initial=0)))
    return np.abs(ours.astype(np.float64) - theirs).max(initial=0) / scale


def require_close(ours, theirs, tolerance):
    ours, theirs = named(ours), named(theirs)
    assert [key for key, _ in ours] == [key for key, _ in theirs]
    errors = {key: error(a, b) for (key, a), (_, b) in zip(ours, theirs, strict=True)}
    far = {key: f"{e:.0e}" for key, e in errors.items() if not e <= tolerance}
    assert not far


def built(name, tmp_path, seed=0):
    rng = np.random.default_rng(seed)
    keras.utils.set_random_seed(0)
    model = keras.Model(*MODELS[name]())
    drawn(model, rng)
    path = tmp_path / "model.keras"
    model.save(path)
    return model, path, inputs_for(model, rng)


def named(tree):
    """Return the names and outputs of Keras or fdl, in the same order."""
    return [
        ("/".join(str(getattr(k, "key", getattr(k, "idx", k))) for k in path), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    ]


IN_SINGLE = ("images", "masked_attention", "image_sizes", "tiles_of_histograms")


# In double precision, rounding cannot hide a wrong formula. Keras computes all models
# but one in it.
@pytest.mark.parametrize(
    ("name", "precision"),
    [(name, "float64") for name in MODELS if name != "tiles_of_histograms"]
    + [(name, "float32") for name in IN_SINGLE],
    indirect=["precision"],
)
def test_outputs(name, precision, tmp_path):
    theirs, path, inputs = built(name, tmp_path)
    where = exact if precision == "float64" else contextlib.nullcontext
    with jax.enable_x64(precision == "float64"):
        ours, variables = import_model(path)
        y = jax.jit(ours.apply)(variables, inputs)
        with where():
            wanted = theirs(inputs, training=False)
        require_close(y, wanted, TOLERANCE[precision])
        # The way back: Keras opens the saved file and predicts the same, bit for bit.
        save_weights(tmp_path / "ours.keras", ours, variables)
        assert import_model(tmp_path / "ours.keras")[0] == ours
    again = keras.models.load_model(tmp_path / "ours.keras")
    with where():
        again = again(inputs, training=False)
    flat = keras.tree.flatten
    for y, z in zip(flat(again), flat(wanted), strict=True):
        np.testing.assert_array_equal(y, z)


def test_weights_of_an_activation_return_to_keras(tmp_path):
    """Keras makes them at the first call, and reads them only with their shape."""
    x = np.random.default_rng(0).normal(size=(2, 5)).astype("f4")
    entry, start = keras.Input((5,)), keras.initializers.Constant(0.5)
    layer = keras.layers.Dense(3, keras.layers.PReLU(alpha_initializer=start))
    theirs = keras.Model(entry, layer(entry))
    wanted = theirs(x)
    theirs.save(tmp_path / "theirs.keras")
    ours, variables = import_model(tmp_path / "theirs.keras")
    require_close(ours.apply(variables, x), wanted, 2e-6)
    save_weights(tmp_path / "ours.keras", ours, variables)
    again = keras.models.load_model(tmp_path / "ours.keras")
    np.testing.assert_array_equal(again(x), wanted)


def partly_frozen():
    """Partly frozen models, whose weights a .h5 file stores in two lists."""
    x = keras.Input((4,))
    parts = lambda: [keras.layers.Dense(4), keras.layers.BatchNormalization()]
    whole = keras.Sequential([*parts(), *parts()])
    # It also stores a count, which is not a weight here.
    first = keras.Sequential([keras.layers.Normalization(), *parts(), *parts()])
    inner = keras.Sequential([keras.Sequential([*parts(), *parts()]), *parts()])
    y = inner(first(whole(x)))
    whole.trainable = inner.layers[0].trainable = first.layers[1].trainable = False
    whole.layers[2].trainable = inner.layers[0].layers[2].trainable = True
    return x, y


@pytest.mark.parametrize("make", [MODELS["graphs"], partly_frozen])
def test_whole_models_in_h5(make, tmp_path, in_a_process):
    model = keras.Model(*make())
    drawn(model, np.random.default_rng(0))
    found = []
    for suffix in (".keras", ".h5"):
        model.save(tmp_path / f"model{suffix}")
        found.append(import_model(tmp_path / f"model{suffix}"))
    (one, ours), (two, others) = found
    assert repr(one) == repr(two)
    ours, others = flatten_dict(ours), flatten_dict(others)
    assert ours.keys() == others.keys()
    assert all((ours[key] == others[key]).all() for key in ours)


def step(model, inputs):
    """Return the loss and the gradients of a Keras model in training."""
    with tf.GradientTape() as tape:
        outputs = keras.tree.flatten(model(inputs, training=True))
        loss = sum(keras.ops.mean(keras.ops.square(y)) for y in outputs)
        total = loss + sum(model.losses)
    gradients = tape.gradient(total, model.trainable_variables)
    gradients = [tf.convert_to_tensor(g) for g in gradients]
    return total, list(zip(model.trainable_variables, gradients, strict=True))


@pytest.mark.parametrize(
    "name",
    """penalties graphs masked_attention statistics_of_steps spectral
    renormalized""".split(),
)
def test_training(name, tmp_path):
    """The loss with penalties, the gradients, and the statistics of one step."""
    theirs, path, inputs = built(name, tmp_path)
    for layer in theirs._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    theirs.save(path)
    ours, variables = import_model(path)

    def total(params):
        y, changed = ours.apply(
            {**variables, "params": params},
            inputs,
            train=True,
            mutable=["batch_stats", "losses"],
        )
        loss = sum(jax.numpy.mean(leaf**2) for leaf in jax.tree.leaves(y))
        penalties = jax.tree.leaves(changed.get("losses", {}))
        return loss + sum(penalties), changed

    gradient = jax.jit(jax.value_and_grad(total, has_aux=True))
    (loss, changed), gradients = gradient(variables["params"])
    wanted, slopes = step(theirs, inputs)
    assert error(loss, wanted) < 2e-6
    _, after = import_model(theirs)  # from memory, with the statistics of the step
    for key, value in flatten_dict(after.get("batch_stats", {})).items():
        new = flatten_dict(changed["batch_stats"])[key]
        np.testing.assert_allclose(new, value, rtol=2e-5, atol=2e-6)
    # Gradients in place of weights are imported to the places of theirs.
    for weight in theirs.weights:
        if "seed" not in weight.path:
            weight.assign(np.full(weight.shape, _FROZEN))
    for weight, slope in slopes:
        weight.assign(slope)
    _, expected = import_model(theirs)
    compared = {
        key: np.abs(flatten_dict(gradients)[key] - value).max()
        for key, value in flatten_dict(expected["params"]).items()
        if not (value == _FROZEN).all()
    }
    assert len(compared) == len(slopes)
    largest = max(np.abs(slope.numpy()).max() for _, slope in slopes)
    assert {key: far for key, far in compared.items() if far > 1e-5 * largest} == {}


_FROZEN = 2.0**20

"""Reading and running graphs, without Keras."""

import copy
import json
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fdl
from fdl.keras import KerasModel, WeightsError, import_model
from fdl.keras.graph.arrays import slots_of
from fdl.keras.graph.assets import with_vocabularies
from fdl.keras.graph.read import read_model


@pytest.fixture
def key():
    return jax.random.key(0)


def tensor(name, node=0, output=0):
    history = [name, node, output]
    return {"class_name": "__keras_tensor__", "config": {"keras_history": history}}


def layer(kind, name, *inputs, **config):
    nodes = [{"args": list(inputs), "kwargs": {}}] if inputs else []
    given = {"name": name, **config}
    return {"class_name": kind, "name": name, "config": given, "inbound_nodes": nodes}


def functional(layers, inputs, outputs):
    config = {"name": "net", "layers": layers}
    config |= {"input_layers": inputs, "output_layers": outputs}
    return {"class_name": "Functional", "config": config}


SMALL = functional(
    [
        layer("InputLayer", "x", batch_shape=[None, 4]),
        layer(
            "Dense",
            "hidden",
            tensor("x"),
            units=3,
            activation="relu",
            kernel_regularizer={"class_name": "L2", "config": {"l2": 0.5}},
            kernel_constraint={"class_name": "NonNeg", "config": {}},
        ),
        layer("Dropout", "dropout", tensor("hidden"), rate=0.5),
        layer("BatchNormalization", "norm", tensor("dropout")),
        layer("Dense", "head", tensor("norm"), units=2, trainable=False),
    ],
    ["x", 0, 0],
    ["head", 0, 0],
)


def changed(path, value):
    config = copy.deepcopy(SMALL)
    place = config["config"]
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return config


CUSTOM = {"module": "builtins", "class_name": "function", "config": "mine>act"}


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (["layers", 1, "class_name"], "Lambda", "'hidden' (Lambda) cannot be imported"),
        (["layers", 1, "class_name"], "Dance", "custom_layers={'Dance': ...}"),
        (["layers", 1, "module"], "builtins", "custom class"),
        (["layers", 1, "registered_name"], "mine>Dense", "custom class"),
        (["layers", 1, "config", "units"], -3, "units=-3"),
        (["layers", 1, "config", "units"], True, "units=True"),
        (["layers", 1, "config", "speed"], 3, "unknown option speed=3"),
        (["layers", 1, "config", "activation"], "threshold", "activation='threshold'"),
        (["layers", 1, "config", "activation"], {"class_name": "os"}, "activation="),
        (["layers", 1, "config", "activation"], CUSTOM, "activation='mine>act', which"),
        (["layers", 1, "config", "lora_rank"], 2, "LoRA"),
        (["layers", 1, "config", "dtype"], "float8", "computes in 'float8'"),
        (["layers", 0, "config", "dtype"], "string", "'x' (InputLayer) takes text"),
        (["layers", 3, "config", "renorm_clipping"], {"r": 1}, "must not have 'r'"),
        (["layers", 1, "name"], "head", "two layers 'head'"),
        (["layers", 2, "inbound_nodes", 0, "args", 0], tensor("y"), "'y'"),
        (["layers", 1, "inbound_nodes", 0, "args", 0], tensor("head"), "nothing in"),
        (
            ["layers", 1, "inbound_nodes", 0, "kwargs"],
            {"scale": 2},
            "called with scale=",
        ),
        (["output_layers"], ["head", 3, 0], "no output 3 of 'head'"),
        (["output_layers"], 7, "not one that Keras writes"),
        (["layers", 0, "config", "batch_shape"], [None, -4], "an input has the shape"),
    ],
)
def test_refusals_name_the_layer(path, value, words):
    with pytest.raises(WeightsError) as caught:
        read_model(changed(path, value))
    assert words in str(caught.value)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="is a folder"):
        import_model(tmp_path)


def test_refusals_say_where_in_the_graph_the_layer_is():
    config = changed(["layers", 3, "class_name"], "Lambda")
    where = r"custom_layers=\. It is layer 4 of 5, after 'dropout'\."
    with pytest.raises(WeightsError, match=where):
        read_model(config)
    nested = functional(
        [layer("InputLayer", "x", batch_shape=[None, 4]), config | {"name": "inner"}],
        ["x", 0, 0],
        ["x", 0, 0],
    )
    with pytest.raises(WeightsError) as caught:
        read_model(nested)
    assert str(caught.value).startswith("layer net/'norm' (Lambda) cannot be imported")
    assert str(caught.value).count("It is layer") == 1


def test_layers_without_names_are_numbered():
    layers = [layer("InputLayer", "x", batch_shape=[None, 4])]
    layers += [{"class_name": "Dropout", "config": {"rate": 0.5}}] * 2
    config = {"class_name": "Sequential", "config": {"name": "net", "layers": layers}}
    names = [each.name for each in read_model(config).layers]
    assert names == ["x", "dropout", "dropout_1"]


def test_models_of_other_classes_are_refused():
    with pytest.raises(WeightsError, match="'MyModel', a custom class"):
        read_model({"class_name": "MyModel", "config": {}})


def test_an_input_that_is_a_layer_is_refused():
    config = changed(["input_layers"], ["hidden", 0, 0])
    with pytest.raises(WeightsError, match="the input 'hidden' is not an InputLayer"):
        read_model(config)


def test_layers_that_do_not_fit_together_are_refused():
    config = changed(["layers", 0, "config", "batch_shape"], [None, 4, 5])
    config["config"]["layers"][1]["config"]["units"] = 3
    config["config"]["layers"][1]["class_name"] = "Conv3D"
    for name in ("units", "activation", "kernel_regularizer", "kernel_constraint"):
        config["config"]["layers"][1]["config"].pop(name)
    config["config"]["layers"][1]["config"] |= {"filters": 2, "kernel_size": 3}
    with pytest.raises(WeightsError, match=r"'hidden' \(Conv3D\) cannot be computed"):
        slots_of(KerasModel(read_model(config)))


def paths_in(tree, path=()):
    """Yield the path of every value in JSON."""
    yield path
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, each in items:
        if isinstance(each, dict | list):
            yield from paths_in(each, (*path, key))
        else:
            yield (*path, key)


PATHS = [path for path in paths_in(SMALL) if path]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 1 << 40)
    | st.floats()
    | st.sampled_from(["", "x", "Dense", "head", "__tensor__", "apply", "é/../"]),
    lambda each: (
        st.lists(each, max_size=3)
        | st.dictionaries(st.sampled_from(["class_name", "config", "x"]), each)
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PATHS), VALUES), min_size=1, max_size=3))
def test_mutated_descriptions_raise_only_weights_errors(changes):
    config = copy.deepcopy(SMALL)
    for path, value in changes:
        place = config
        try:
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = value
        except (TypeError, LookupError):
            continue  # that part was replaced before
    try:
        graph = read_model(json.loads(json.dumps(config)))
        hash(graph)
        repr(graph)
    except WeightsError:
        pass


def test_inputs_have_any_leading_axes(key):
    model = KerasModel(read_model(SMALL))
    x = jax.random.normal(key, (2, 3, 4))
    variables = model.init(key, x)
    y = model.apply(variables, x)
    assert y.shape == (2, 3, 2)
    np.testing.assert_allclose(y[1, 2], model.apply(variables, x[1, 2]), rtol=1e-5)
    np.testing.assert_allclose(y, model.apply(variables, x=x), rtol=1e-6)
    np.testing.assert_allclose(y, model.apply(variables, {"x": x}), rtol=1e-6)
    with pytest.raises(ValueError, match="the input x has shape"):
        model.apply(variables, x[..., :3])
    with pytest.raises(ValueError, match="there are 2 inputs"):
        model.apply(variables, x, x)


def test_an_imported_model_trains_like_any_other(key):
    model = KerasModel(read_model(SMALL))
    rows = fdl.arrays.Rows(
        np.asarray(jax.random.normal(key, (8, 4))), np.ones((8, 2), np.float32)
    )
    learner = fdl.learners.supervised(
        model, fdl.losses.mean_squared_error, optax.sgd(0.1)
    )
    learner = fdl.learners.frozen(learner, model.frozen)
    start = learner.init(key, rows)
    state, _ = learner.step(start, rows)
    assert model.frozen == ("head",)
    before, after = (s.params for s in (start, state))
    assert (before["head"]["kernel"] == after["head"]["kernel"]).all()
    assert (before["hidden"]["kernel"] != after["hidden"]["kernel"]).any()
    norm = state.model_state["batch_stats"]["norm"]
    assert (norm["var"] != 1).any()
    project = fdl.keras.constraints.constrain(model.constraints)
    assert (project(after)["hidden"]["kernel"] >= 0).all()


def test_the_penalty_of_weights_is_sown(key):
    model = KerasModel(read_model(SMALL))
    variables = model.init(key, jnp.ones((1, 4)))
    _, sown = model.apply(variables, jnp.ones((1, 4)), mutable=["losses"])
    kernel = variables["params"]["hidden"]["kernel"]
    (penalty,) = jax.tree.leaves(sown)
    np.testing.assert_allclose(penalty, 0.5 * (kernel**2).sum(), rtol=1e-6)


def test_the_constraint_of_spectral_normalization_is_applied(key):
    dense = layer("Dense", "dense", units=3)
    around = layer("SpectralNormalization", "norm", tensor("x"), layer=dense)
    layers = [layer("InputLayer", "x", batch_shape=[None, 4]), around]
    model = KerasModel(read_model(functional(layers, ["x", 0, 0], ["norm", 0, 0])))
    params = model.init(key, jnp.ones((1, 4)))["params"]
    project = fdl.keras.constraints.constrain(model.constraints)
    norms = jnp.linalg.svd(project(params)["norm"]["layer"]["kernel"])[1]
    np.testing.assert_allclose(norms[0], 1, rtol=1e-5)


@pytest.mark.parametrize("content", [b"", b"1\n2.5", b"1\n" + b"9" * 5000, b"\xff"])
def test_damaged_vocabularies_are_refused(content):
    layers = [
        layer("InputLayer", "x", batch_shape=[None, 4], dtype="int32"),
        layer("IntegerLookup", "look", tensor("x")),
    ]
    graph = read_model(functional(layers, ["x", 0, 0], ["look", 0, 0]))
    with pytest.raises(WeightsError, match="'look' \\(IntegerLookup\\) has"):
        with_vocabularies(graph, lambda name: content)
    with pytest.raises(WeightsError, match="it has no vocabulary"):
        slots_of(KerasModel(graph))


def test_custom_layers_are_read(key):
    config = changed(["layers", 1, "class_name"], "Mine")
    config["config"]["layers"][1]["config"] = {"name": "hidden", "width": 3}
    custom = {"Mine": lambda width: fdl.nn.Dense(width)}
    model = KerasModel(read_model(config, custom), custom)
    slots = {slot.name: (slot.place, slot.number) for slot in slots_of(model)}
    assert slots["hidden/custom/kernel"] == ("layers/mine", 0)
    assert model.init_with_output(key, jnp.ones((5, 4)))[0].shape == (5, 2)


@pytest.mark.parametrize("name", ["x.h5", "x.keras", "x"])
def test_missing_files_are_refused(name, tmp_path):
    with pytest.raises(WeightsError, match="does not exist"):
        import_model(tmp_path / name)


def test_a_damaged_description_is_refused(tmp_path):
    path = tmp_path / "x.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", b'{"class_name": ')
    with pytest.raises(WeightsError, match=r"damaged config\.json"):
        import_model(path)


def test_objects_that_are_not_models_are_refused():
    with pytest.raises(WeightsError, match="int is neither a path nor a Keras model"):
        import_model(3)

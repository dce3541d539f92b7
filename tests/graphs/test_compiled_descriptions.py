"""Descriptions of `model.compile` in files, without Keras: read in all forms."""

import copy
import json
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fdl
from fdl.keras import KerasModel, WeightsError
from fdl.keras.compiled import Described, read_compiled
from fdl.keras.compiled_optimizer import read_state
from fdl.keras.graph.read import read_model
from fuzz.mutations import json_of


def made(*outputs):
    """Return a model with these outputs, of two numbers each."""
    x = {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 2]}}
    tensor = {
        "class_name": "__keras_tensor__",
        "config": {"keras_history": ["x", 0, 0]},
    }
    layers = [x] + [
        {
            "class_name": "Dense",
            "config": {"name": name, "units": 2},
            "inbound_nodes": [{"args": [tensor], "kwargs": {}}],
        }
        for name in outputs
    ]
    config = {"name": "net", "layers": layers, "input_layers": [["x", 0, 0]]}
    config["output_layers"] = [[name, 0, 0] for name in outputs]
    return KerasModel(read_model({"class_name": "Functional", "config": config}))


ONE, TWO = made("y"), made("a", "b")
CLASS = {"module": "keras.losses", "registered_name": None}
METRIC = CLASS | {"module": "keras.metrics"}
PR = {"name": "auc", "curve": "PR", "num_thresholds": 200}
MSE = Described("mean_squared_error")
CONFIG = {
    "optimizer": {"class_name": "Adam", "config": {"learning_rate": 0.5}},
    "loss": {"a": "mse", "b": CLASS | {"class_name": "MeanSquaredError", "config": {}}},
    "loss_weights": {"a": 1, "b": 0.5},
    "metrics": {"a": ["accuracy", "mae"], "b": "mse"},
    "weighted_metrics": None,
}
COSINE = {
    "class_name": "CosineDecay",
    "config": {"initial_learning_rate": 0.1, "decay_steps": 8.0, "name": "c"},
}


def changed(**changes):
    return {**copy.deepcopy(CONFIG), **changes}


def optimizer(name, **options):
    return {"optimizer": {"class_name": name, "config": options}}


def of_one(loss, **more):
    return changed(loss=loss, **{"metrics": None, "loss_weights": None, **more})


@pytest.mark.parametrize(
    ("loss", "model", "wanted"),
    [
        ("mse", ONE, {"y": MSE}),
        (["MSE"], ONE, {"y": MSE}),
        ("mean_squared_error", TWO, {"a": MSE, "b": MSE}),
        (["mse", None], TWO, {"a": MSE}),
        ({"b": "mse"}, TWO, {"b": MSE}),
        ({"class_name": "function", "config": "mse"}, ONE, {"y": MSE}),
        (
            CLASS | {"class_name": "KLDivergence", "config": {"name": "k", "axis": -1}},
            ONE,
            {"y": Described("kl_divergence", {"axis": -1})},
        ),
    ],
)
def test_losses_are_read_in_all_forms(loss, model, wanted):
    found = read_compiled(of_one(loss), model).losses
    assert {k: (v.name, dict(v.options)) for k, v in found.items()} == {
        k: (v.name, dict(v.options)) for k, v in wanted.items()
    }


def test_metrics_and_loss_weights_are_read():
    found = read_compiled(CONFIG, TWO)
    assert {k: [each.name for each in v] for k, v in found.metrics.items()} == {
        "a": ["accuracy", "mean_absolute_error"],
        "b": ["mean_squared_error"],
    }
    assert found.loss_weights == {"a": 1.0, "b": 0.5}
    wrapper = {"class_name": "MeanMetricWrapper", "config": {"name": "m", "fn": "mse"}}
    found = read_compiled(of_one("mse", metrics=[[wrapper]]), ONE)
    assert found.metrics == {"y": (MSE,)}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (optimizer("Mine"), "optimizer is 'Mine'"),
        (optimizer("Adam", decay=0.0), "an optimizer of Keras before 2.11"),
        (optimizer("MultiOptimizer", optimizer_map={}), "patterns of names.*partition"),
        (optimizer("Adam", speed=1), "argument 'speed'"),
        (optimizer("SGD", nesterov=1), "nesterov=1 must be True or False"),
        (optimizer("SGD", learning_rate=-1), "learning_rate=-1"),
        (optimizer("SGD", clipnorm=1, clipvalue=1), "clipnorm and clipvalue"),
        (optimizer("Muon", exclude_layers=["(a+)+$"]), "must be a list of plain words"),
        (
            optimizer("SGD", learning_rate=COSINE | {"class_name": "Mine"}),
            "learning rate is a 'Mine'",
        ),
        (
            optimizer("LossScaleOptimizer", weight_decay=0.5, **optimizer("Adam")),
            "'inner_optimizer'",
        ),
        ({"loss": {"c": "mse"}}, "given for 'c', but the outputs are a, b"),
        ({"loss": ["mse"]}, "loss has 1 values, but the model has 2 outputs"),
        (
            {"loss": {"class_name": "Mine", "module": "mine", "config": {}}},
            "'Mine', a custom class",
        ),
        ({"loss_weights": {"a": "1"}}, "loss_weights has '1'"),
    ],
)
def test_invalid_or_unsupported_arguments_are_refused(changes, words):
    with pytest.raises(WeightsError, match=words):
        read_compiled(changed(**changes), TWO)


def test_schedules_are_read():
    found = read_compiled(changed(**optimizer("keras>SGD", learning_rate=COSINE)), TWO)
    state = found.optimizer.init(jnp.zeros(1))
    updates, _ = found.optimizer.update(jnp.ones(1), state)
    assert updates == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"loss": "mine"}, "does not have the loss 'mine' .* pass loss="),
        ({"metrics": {"a": ["mine"]}}, "does not have the metric 'mine'"),
        (
            {"metrics": {"a": [METRIC | {"class_name": "AUC", "config": PR}]}},
            "does not support curve='PR' of the metric 'auc'",
        ),
        (
            {"loss": CLASS | {"class_name": "MSE", "config": {"reduction": "sum"}}},
            "does not support reduction='sum' of the loss",
        ),
        ({"loss": None}, "without a loss"),
    ],
)
def test_losses_and_metrics_that_fdl_does_not_have_are_refused(changes, words):
    compiled = read_compiled(changed(**changes), TWO)
    variables = TWO.init(jax.random.key(0), np.zeros((1, 2)))
    with pytest.raises(ValueError, match=words):
        fdl.learners.from_keras(TWO, variables, compiled)
    loss = lambda y, t: y[0].mean(-1)
    fdl.learners.from_keras(TWO, variables, compiled, loss=loss, metrics={})


@pytest.mark.parametrize(
    ("loss", "targets", "wanted"),
    [
        ("crossentropy", [0, 1], "sparse_categorical_crossentropy"),
        ("ce", [[0], [1]], "sparse_categorical_crossentropy"),
        ("crossentropy", [[0.0, 1.0], [1.0, 0.0]], "categorical_crossentropy"),
    ],
)
def test_cross_entropy_depends_on_the_targets(loss, targets, wanted):
    compiled = read_compiled(of_one(loss, metrics=["accuracy"]), ONE)
    variables = ONE.init(jax.random.key(0), np.zeros((1, 2)))
    learner, state = fdl.learners.from_keras(ONE, variables, compiled)
    inputs, targets = np.random.default_rng(0).normal(size=(2, 2)), np.array(targets)
    measured = learner.evaluate(state, (inputs, targets))
    flat = targets.reshape(2) if "sparse" in wanted else targets
    (outputs,) = ONE.apply(variables, inputs)
    losses = getattr(fdl.losses, wanted)(outputs, flat, from_logits=False)
    np.testing.assert_allclose(measured["loss"].compute(), losses.mean(), rtol=1e-6)
    accuracy = fdl.metrics.accuracy(outputs, flat).compute()
    assert measured["accuracy"].compute() == accuracy


def test_mutated_descriptions_raise_only_weights_errors():
    content, refused = json.dumps(CONFIG).encode(), []
    for seed in range(300):
        try:
            mutated = json.loads(json_of(content, random.Random(seed)))
        except ValueError:
            continue
        try:
            read_compiled(mutated, TWO)
        except WeightsError as error:
            refused.append(str(error))
    assert len(refused) > 100
    assert max(map(len, refused)) < 1000


def stored(count, **changes):
    """Return the arrays that Keras stores for Adam and `ONE`, some of them replaced."""
    shapes = [(), (), *[(2, 2)] * 2, *[(2,)] * 2][:count]
    arrays = [np.full(shape, 0.5, np.float32) for shape in shapes]
    for place, array in changes.items():
        arrays[int(place[1:])] = array
    return arrays


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (stored(5), "lacks the optimizer's velocity of y/bias"),
        (
            [*stored(6), np.ones(3)],
            "has more arrays than its optimizer needs: 1 too many",
        ),
        (
            stored(6, _2=np.ones(3)),
            r"has the optimizer's momentum of kernel as float64\[3\], but",
        ),
        (stored(6, _0=np.ones(2)), "has the optimizer's iteration as"),
    ],
)
def test_optimizer_states_that_do_not_fit_are_refused(arrays, words):
    params = ONE.init(jax.random.key(0), np.zeros((1, 2)))["params"]
    state = fdl.keras.adam().init(params)
    trained = [("y", "kernel"), ("y", "bias")]
    with pytest.raises(WeightsError, match=f"x.keras {words}"):
        read_state(state, params, trained, arrays, "x.keras")
    of_keras2 = [stored(6)[0], *stored(6)[2:]]  # without the learning rate
    found = read_state(state, params, trained, of_keras2, "x.keras", keras2=True)
    assert found.slots["velocity"]["y"]["bias"].tolist() == [0.5, 0.5]
    nadam = fdl.keras.nadam().init(params)
    with pytest.raises(WeightsError, match="a Nadam of Keras 2"):
        read_state(nadam, params, trained, of_keras2, "x.keras", keras2=True)
    found = read_state(state, params, trained, stored(6), "x.keras")
    assert found.slots["velocity"]["y"]["bias"].tolist() == [0.5, 0.5]
    assert read_state(state, params, trained, stored(2), "x.keras") is None

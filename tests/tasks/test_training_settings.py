"""Settings that only some tasks support: their effects, and refusals by the others."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen

import fdl
from fdl import data, nn, tasks
from fdl.runs import configure
from fdl.tasks.assemble import _RECIPES
from fdl.tasks.choices import RECIPES
from fdl.tasks.config import OF_SOME

GIVEN = {
    "augment": "digits",
    "label_smoothing": 0.1,
    "class_weights": (1.0,) * 10,
    "ema": 0.9,
    "precision": "bfloat16",
    "freeze": ("*/bias",),
}


SMALL = {"mnist": "mnist-5k", "python-docs": "python-docs", None: "csv:table.csv"}


def info(task):
    if task.takes == ("document",):
        return data.from_arrays(["a b", "c"] * 30, np.arange(60) % 10).info
    if task.takes == ("pair",):
        return data.from_pairs(["a b", "c"] * 30, ["B A", "C"] * 30).info
    if task.takes == ("music",):
        about = data.load("mnist-5k").info
        return about._replace(kind="music", input_shape=(16, 88), num_classes=88)
    if task.dataset is None:  # a table whose target is a number
        rng = np.random.default_rng(0)
        return data.from_arrays(rng.normal(size=(60, 3)), rng.normal(size=60)).info
    return data.load(SMALL[task.dataset]).info


def configured(name, **settings):
    """Return a configuration of one epoch, and of one layer if the task has layers."""
    sizes = {"epochs": 1, "batch_size": 8}
    options = {field.name for field in dataclasses.fields(tasks.find(name).options)}
    sizes |= {"num_layers": 1} if "num_layers" in options else {}
    dataset = tasks.find(name).dataset
    return configure(name, dataset=SMALL.get(dataset, dataset), **sizes, **settings)


def outlined(name="mlp", **settings):
    task = tasks.find(name)
    return tasks.outline(task, configured(name, **settings), info(task))


def learner_of(**settings):
    return outlined(**settings).learner


def batch(count=8):
    train = data.load("mnist-5k").train
    return fdl.Batch(train.image[:count], train.label[:count])


@functools.cache
def stepped(**settings):
    learner = learner_of(**settings)
    return jax.jit(lambda batch: learner.step(learner.init(0, batch), batch))(batch())


@pytest.mark.parametrize("name", tasks.TASKS)
def test_a_task_takes_supported_settings_and_refuses_others_by_name(name) -> None:
    task = tasks.find(name)
    for setting in OF_SOME:
        if setting not in task.supports:
            with pytest.raises(ValueError, match=f"{name}' does not take {setting}"):
                configured(name, **{setting: GIVEN[setting]})
    if name == "classify":  # its model comes from the caller
        assert task.supports == OF_SOME
        return
    taken = {setting: GIVEN[setting] for setting in task.supports}
    trained = outlined(name, **taken)
    state, one = trained.state, data.example(trained.info)
    new, _ = jax.eval_shape(trained.learner.step, state, one)
    outline = lambda tree: jax.tree.map(lambda x: (x.shape, str(x.dtype)), tree)
    assert outline(new) == outline(state), "a step does not change shapes or types"
    assert ("ema" in state.extra) == ("ema" in task.supports)


def test_unknown_names_and_numbers_out_of_range_are_refused() -> None:
    assert set(RECIPES) == {"none", *_RECIPES}
    for wrong, message in (
        ({"augment": "all"}, "no augment 'all'; .*augments: none, shift, digits"),
        ({"precision": "half"}, "no precision 'half'; .*precisions: float32, bfloat16"),
        ({"ema": 1.0}, "ema=1.0 must be in"),
        ({"label_smoothing": 1.5}, "label_smoothing=1.5 must be"),
    ):
        with pytest.raises(ValueError, match=message):
            configure("mlp", **wrong)


@pytest.mark.parametrize("recipe", _RECIPES)
def test_each_recipe_is_applied_in_training_steps_only(recipe, monkeypatch) -> None:
    change, called = _RECIPES[recipe], []
    note = lambda *given: called.append(recipe) or change(*given)
    monkeypatch.setitem(_RECIPES, recipe, note)
    learner = learner_of(augment=recipe)
    state = jax.eval_shape(learner.init, 0, batch())
    jax.eval_shape(learner.evaluate, state, batch())
    assert called == []
    jax.eval_shape(learner.step, state, batch())
    assert called == [recipe]


def test_a_recipe_changes_training_but_not_evaluation() -> None:
    recipe = "digits"
    plain, changed = learner_of(), learner_of(augment=recipe)
    (_, before), (state, after) = stepped(), stepped(augment=recipe)
    assert float(before["loss"].compute()) != float(after["loss"].compute())
    for one, other in zip(
        jax.tree.leaves(plain.evaluate(state, batch())),
        jax.tree.leaves(changed.evaluate(state, batch())),
        strict=True,
    ):
        assert float(one) == float(other)


def test_label_smoothing_and_class_weights_change_only_the_training_loss() -> None:
    weights = tuple(np.arange(10.0))
    settings = {"label_smoothing": 0.2, "class_weights": weights}
    learner = learner_of(**settings)
    state, measured = stepped(**settings)
    start = learner.init(0, batch())
    image, label = batch()
    key = jax.random.fold_in(start.key, 0)
    logits = fdl.models.MLP(10, dropout_rate=0.2).apply(
        {"params": start.params}, image / 255, train=True, rngs={"dropout": key}
    )
    expected = fdl.losses.cross_entropy(logits, label, label_smoothing=0.2)
    expected = float(jnp.mean(expected * np.asarray(weights)[label]))
    assert float(measured["loss"].compute()) == pytest.approx(expected, rel=1e-5)
    plain = learner_of()
    assert sorted(measured) == ["accuracy", "loss"]
    one, other = (
        x.evaluate(state, batch())["loss"].compute() for x in (learner, plain)
    )
    assert float(one) == float(other), "evaluation is unaffected"


def test_an_average_follows_the_parameters() -> None:
    learner = learner_of(ema=0.5)
    state, _ = stepped(ema=0.5)
    kernel = lambda tree: np.asarray(tree["head"]["kernel"])
    np.testing.assert_array_equal(kernel(state.extra["ema"]), kernel(state.params))
    new, _ = jax.jit(learner.step)(state, batch())
    decay = 1 / 11  # the smaller of 0.5 and step / (step + 10), at step 1
    expected = decay * kernel(state.params) + (1 - decay) * kernel(new.params)
    np.testing.assert_allclose(kernel(new.extra["ema"]), expected, rtol=1e-5)


def test_a_model_in_bfloat16_keeps_its_parameters_in_float32() -> None:
    plain, half = learner_of(), learner_of(precision="bfloat16")
    state, _ = stepped()
    one, other = (x.predict(state, batch().image) for x in (plain, half))
    assert other.dtype == np.float32
    assert 0 < abs(one - other).max() < 0.02
    assert {
        x.dtype for x in jax.tree.leaves(stepped(precision="bfloat16")[0].params)
    } == {np.dtype("float32")}


class Normalized(linen.Module):
    """Batch normalization of fdl, and of Linen with its flag in two places."""

    @linen.compact
    def __call__(self, x, *, train=False):
        x = nn.BatchNormalization(name="first")(x, train=train)
        x = linen.BatchNorm(not train, name="second")(x)
        x = linen.BatchNorm(name="third")(x, use_running_average=not train)
        return linen.Dense(10, name="head")(x)


@pytest.mark.parametrize("part", ["first", "second", "third"])
def test_a_frozen_normalization_keeps_its_parameters_and_statistics(part) -> None:
    x = jax.random.normal(jax.random.key(0), (16, 3)) + 5
    data = (np.asarray(x), np.arange(16) % 10)
    make = lambda model: fdl.learners.supervised(
        model, fdl.losses.cross_entropy, fdl.keras.adamw(0.1)
    )
    learner = fdl.learners.frozen(make(nn.Frozen(Normalized(), [part])), [part])
    start = learner.init(0, data)
    state, _ = jax.jit(learner.step)(start, data)
    for name in ("first", "second", "third"):
        for now, before in (
            (state.params, start.params),
            (state.model_state["batch_stats"], start.model_state["batch_stats"]),
        ):
            for one, other in zip(
                jax.tree.leaves(now[name]), jax.tree.leaves(before[name]), strict=True
            ):
                same = np.asarray(one).tobytes() == np.asarray(other).tobytes()
                assert same is (name == part)


def test_a_frozen_model_behaves_in_training_as_in_evaluation() -> None:
    x = jax.random.normal(jax.random.key(0), (16, 3)) + 5
    variables = Normalized().init(jax.random.key(0), x)
    frozen = nn.Frozen(Normalized(), ["*"])
    outputs, changed = frozen.apply(variables, x, train=True, mutable=["batch_stats"])
    np.testing.assert_array_equal(outputs, Normalized().apply(variables, x))
    jax.tree.map(
        np.testing.assert_array_equal, changed["batch_stats"], variables["batch_stats"]
    )

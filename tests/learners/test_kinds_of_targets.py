"""Inputs, targets, weights and answers that `supervised` supports."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import learners, losses, models

KEY = jax.random.key(0)


class Linear(linen.Module):
    """A module without an argument for the training mode."""

    outputs: int = 1
    squeeze: bool = False

    @linen.compact
    def __call__(self, x):
        y = linen.Dense(self.outputs)(x)
        return y[..., 0] if self.squeeze else y


def line(n=64, columns=True):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3)).astype(np.float32)
    y = x @ np.float32([[1.0], [-2.0], [0.5]]) + 0.3
    return x, y if columns else y[:, 0]


def train(learner, data, epochs=60, batch_size=16, **options):
    return fdl.fit(
        learner, data, epochs=epochs, batch_size=batch_size, key=KEY, **options
    )


@pytest.mark.parametrize("columns", [True, False])
def test_regression_predicts_values_of_any_number_of_examples(columns) -> None:
    data = line(columns=columns)
    model = Linear(squeeze=not columns)
    learner = learners.supervised(model, losses.mean_squared_error, optax.adam(0.05))
    run = train(learner, data)
    assert run.history[-1].train["loss"] < 1e-3
    for count in (3, 40):
        found = fdl.predict(learner, run.state, data[0][:count])
        np.testing.assert_allclose(found, data[1][:count], atol=0.1)
    assert fdl.evaluate(learner, run.state, data).keys() == {"loss"}


def test_with_an_unknown_loss_predictions_are_the_outputs() -> None:
    data = line()
    learner = learners.supervised(
        Linear(), lambda y, t: jnp.abs(y - t)[:, 0], optax.adam(0.05)
    )
    run = train(learner, data)
    np.testing.assert_allclose(
        fdl.predict(learner, run.state, data[0]), data[1], atol=0.2
    )


def test_losses_that_do_not_fit_the_targets_are_refused() -> None:
    x, y = line()
    wide = learners.supervised(
        Linear(squeeze=True),
        lambda y, t: jnp.square(y[:, None] - t[None]),
        optax.sgd(0.1),
    )
    with pytest.raises(
        fdl.data.DataError, match="one number for each example or token"
    ):
        train(wide, (x, y[:, 0]))
    mean = learners.supervised(
        Linear(), lambda y, t: jnp.mean(jnp.square(y - t)), optax.sgd(0.1)
    )
    with pytest.raises(fdl.data.DataError, match="returns a single number"):
        train(mean, (x, y))
    columns = learners.supervised(Linear(3), losses.cross_entropy, optax.sgd(0.1))
    with pytest.raises(
        fdl.data.DataError, match=r"those of 2 examples: .*label\[\.\.\., 0\]"
    ):
        train(columns, (x, np.zeros((64, 1), np.int32)))
    squeezed = learners.supervised(
        Linear(squeeze=True), losses.mean_squared_error, optax.sgd(0.1)
    )
    with pytest.raises(fdl.data.DataError, match=r"targets\[:, 0\]"):
        train(squeezed, (x, y))


def test_multi_label_classification_predicts_independent_probabilities() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype(np.float32)
    data = (x, (x[:, :2] > 0).astype(np.float32))
    learner = learners.supervised(
        Linear(2), losses.binary_crossentropy, optax.adam(0.1)
    )
    run = train(learner, data)
    assert run.history[-1].train["accuracy"] > 0.95
    found = fdl.predict(learner, run.state, x)
    assert ((found >= 0) & (found <= 1)).all()
    assert np.abs(found.sum(axis=-1) - 1).max() > 0.2  # no softmax
    assert ((found > 0.5) == (data[1] > 0.5)).mean() > 0.95
    with pytest.raises(fdl.data.DataError, match="targets contain 2"):
        train(learner, (x, data[1] * 2))


class TwoHeads(linen.Module):
    @linen.compact
    def __call__(self, x):
        return linen.Dense(3)(x), linen.Dense(1)(x)


@pytest.mark.parametrize("kind", ["tuple", "dict"])
def test_targets_may_be_any_pytree(kind) -> None:
    x, value = line()
    label = (value[:, 0] > 0).astype(np.int32)
    targets = (label, value) if kind == "tuple" else {"label": label, "value": value}

    def loss(outputs, targets):
        label, value = targets if kind == "tuple" else targets.values()
        return losses.cross_entropy(outputs[0], label) + losses.mean_squared_error(
            outputs[1], value
        )

    learner = learners.supervised(TwoHeads(), loss, optax.adam(0.05))
    run = train(learner, (x, targets))
    logits, values = fdl.predict(learner, run.state, x)
    assert (logits.argmax(-1) == label).mean() > 0.9
    np.testing.assert_allclose(values, value, atol=0.4)


def sequences(n=32, time=9):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, time, 2)).astype(np.float32)
    length = rng.integers(2, time + 1, n)
    mask = np.arange(time)[None] < length[:, None]
    label = ((x[..., 0] * mask).sum(axis=1) > 0).astype(np.int32)
    return x, mask, label


def test_a_masked_lstm_takes_inputs_by_position_and_by_name() -> None:
    x, mask, label = sequences()
    learner = learners.supervised(
        models.LSTMClassifier(2, hidden_size=8), losses.cross_entropy, optax.adam(0.03)
    )
    run = train(learner, ((x, mask), label), epochs=40, batch_size=8)
    assert run.history[-1].train["accuracy"] > 0.9
    named = {"sequence": x, "mask": mask}
    found, wanted = (
        train(learner, (inputs, label), epochs=1, batch_size=8).state.params
        for inputs in (named, (x, mask))
    )
    jax.tree.map(np.testing.assert_array_equal, found, wanted)
    # Masked values change nothing.
    other = np.where(mask[..., None], x, 99.0).astype(np.float32)
    answers = fdl.predict(learner, run.state, (x, mask))
    for changed in ((other, mask), {"sequence": other, "mask": mask}):
        np.testing.assert_allclose(
            fdl.predict(learner, run.state, changed), answers, rtol=1e-5
        )


def copies(n=64, length=5, vocab=8):
    """Return sequences to copy, of different lengths, padded with 0, in two inputs."""
    rng = np.random.default_rng(0)
    token = rng.integers(2, vocab, (n, length)).astype(np.int32)
    counts = rng.integers(3, length + 1, n)
    real = np.arange(length)[None] < counts[:, None]
    source = np.where(real, token, 0)
    given = np.concatenate([np.ones((n, 1), np.int32), source[:, :-1]], axis=1)
    return (source, given), np.where(real, token, -100), real


class Tagger(linen.Module):
    """A classifier of tokens; test_sequence_to_sequence.py has a Transformer."""

    @linen.compact
    def __call__(self, source, given):
        embed = linen.Embed(8, 16)
        return linen.Dense(8)(jnp.concatenate([embed(source), embed(given)], axis=-1))


def test_tokens_are_classified_with_their_weights() -> None:
    model = Tagger()
    inputs, targets, weights = copies()
    learner = learners.supervised(
        model, losses.cross_entropy, optax.adam(1e-2), preprocess=lambda x: x
    )
    run = train(learner, (inputs, targets, weights), epochs=10, batch_size=16)
    measured = fdl.evaluate(learner, run.state, (inputs, targets, weights))
    assert np.isfinite(measured["loss"])
    # By hand, over the tokens that have weight.
    logits = np.asarray(jax.jit(model.apply)(run.state.variables, *inputs))
    scores = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
    picked = np.take_along_axis(scores, targets.clip(0)[..., None], -1)
    assert measured["loss"] == pytest.approx(-picked[weights].mean(), rel=1e-4)
    right = logits.argmax(-1) == targets
    assert measured["accuracy"] == pytest.approx(right[weights].mean(), rel=1e-6)
    assert measured["accuracy"] > 0.5
    with pytest.raises(fdl.data.DataError, match="-100"):
        train(learner, (inputs, targets))


def test_weights_multiply_losses_and_divide_by_their_sum() -> None:
    rng = np.random.default_rng(0)
    x, y = line(12)
    weights = rng.integers(0, 3, 12).astype(np.float32)
    model = Linear()
    learner = learners.supervised(model, losses.mean_squared_error, optax.sgd(0.1))
    state, step = learner.init(KEY, (x, y, weights)), jax.jit(learner.step)
    after, measured = step(state, (x, y, weights))

    def loss(params):
        errors = jnp.square(model.apply({"params": params}, x) - y)[:, 0]
        return jnp.sum(errors * weights) / jnp.sum(weights)

    found, grads = jax.jit(jax.value_and_grad(loss))(state.params)
    wanted = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, grads)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), after.params, wanted
    )
    assert measured["loss"].compute() == pytest.approx(float(found), rel=1e-5)
    # Repeating an example is the same as giving it a weight of 2.
    rows = np.repeat(np.arange(12), weights.astype(int))
    repeated, _ = step(state, (x[rows], y[rows]))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        after.params,
        repeated.params,
    )
    unchanged, _ = step(state, (x, y, np.zeros(12, np.float32)))
    jax.tree.map(np.testing.assert_array_equal, unchanged.params, state.params)
    rooted = learners.supervised(
        model, lambda y, t: (jnp.sqrt(t) * y)[:, 0], optax.sgd(0.1)
    )
    after, _ = jax.jit(rooted.step)(state, (x, y, np.float32(y[:, 0] > 0)))
    assert all(np.isfinite(p).all() for p in jax.tree.leaves(after.params))
    unknown = learners.supervised(
        model, losses.mean_squared_error, optax.sgd(0.1), metrics={"m": lambda y, t: 0}
    )
    with pytest.raises(ValueError, match="no argument `weights`"):
        unknown.evaluate(state, (x, y, weights))
    for bad, message in ((weights[:, None], "have shape"), (-weights, "at least 0")):
        with pytest.raises(fdl.data.DataError, match=message):
            train(learner, (x, y, bad), batch_size=4)


@pytest.mark.parametrize("form", ["dict", "named"])
def test_batches_by_name_equal_those_by_position(form) -> None:
    import collections

    x, y = line()
    weights = np.ones(64, np.float32)
    named = {"inputs": x, "targets": y, "weights": weights}
    if form == "named":
        named = collections.namedtuple("Examples", named)(**named)
    learner = learners.supervised(Linear(), losses.mean_squared_error, optax.sgd(0.1))
    one, other = (train(learner, data, epochs=1) for data in ((x, y, weights), named))
    jax.tree.map(np.testing.assert_array_equal, one.state.params, other.state.params)
    with pytest.raises(fdl.data.DataError, match="'extra' besides"):
        train(learner, {"inputs": x, "targets": y, "extra": y})
    with pytest.raises(fdl.data.DataError, match="a tuple of 4"):
        train(learner, (x, y, y, y))
    with pytest.raises(fdl.data.DataError, match="the data are one array"):
        train(learner, x)


@pytest.mark.parametrize(
    "name",
    ["train", "training", "is_training", "deterministic", "use_running_average"],
)
def test_a_module_receives_the_training_mode(name) -> None:
    inverted = name in ("deterministic", "use_running_average")

    class Flagged(linen.Module):
        @linen.compact
        def __call__(self, x, **flags):
            shift = 1.0 if flags[name] is not inverted else 0.0
            return linen.Dense(1)(x) + shift

    # A signature that contains the name.
    source = f"def call(self, x, *, {name}): return self.flagged(x, {name}={name})"
    space: dict = {}
    exec(source, space)
    Flagged.flagged = Flagged.__call__
    Flagged.__call__ = linen.compact(space["call"])
    x, y = line(8)
    loss = lambda y, t: jnp.squeeze(y, -1)
    learner = learners.supervised(Flagged(), loss, optax.sgd(0.0))
    state = learner.init(KEY, (x, y))
    trained = learner.step(state, (x, y))[1]["loss"].compute()
    assert trained - learner.evaluate(state, (x, y))["loss"].compute() == pytest.approx(
        1, rel=1e-5
    )


class Dropping(linen.Module):
    @linen.compact
    def __call__(self, x, train):
        assert isinstance(train, bool)
        return linen.Dense(1)(linen.Dropout(0.5, deterministic=not train)(x))


def test_the_mode_is_a_static_argument_of_transformed_modules() -> None:
    for transform in (linen.remat, linen.jit):
        model = transform(Dropping, static_argnums=(2,))()
        learner = learners.supervised(model, losses.mean_squared_error, optax.sgd(0.1))
        state = learner.init(KEY, line())
        jax.eval_shape(learner.step, state, line())


def test_sequential_of_flax_is_a_model() -> None:
    x, y = line()
    model = linen.Sequential([linen.Dense(8), linen.relu, linen.Dense(1)])
    learner = learners.supervised(model, losses.mean_squared_error, optax.adam(0.03))
    assert train(learner, (x, y)).history[-1].train["loss"] < 0.1


# One of each kind: those that need the loss, a function of it, or the parameters, and
# those that do not update in each step.
TRANSFORMATIONS = {
    "lbfgs": lambda: optax.lbfgs(),
    "sam": lambda: optax.contrib.sam(
        optax.sgd(0.1), optax.sgd(0.05), sync_period=2, opaque_mode=True
    ),
    "sam, transparent": lambda: optax.contrib.sam(
        optax.sgd(0.1), optax.sgd(0.05), sync_period=2
    ),
    "polyak_sgd": lambda: optax.polyak_sgd(),
    "reduce_on_plateau": lambda: optax.chain(
        optax.adam(0.05), optax.contrib.reduce_on_plateau(patience=100)
    ),
    "backtracking": lambda: optax.chain(
        optax.sgd(1.0), optax.scale_by_backtracking_linesearch(max_backtracking_steps=9)
    ),
    "multi_steps": lambda: optax.MultiSteps(optax.adam(0.05), 2),
    "schedule_free": lambda: optax.contrib.schedule_free_adamw(0.05),
}


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_any_optax_transformation_learns(name) -> None:
    optimizer = TRANSFORMATIONS[name]()
    learner = learners.supervised(Linear(), losses.mean_squared_error, optimizer)
    history = train(learner, line(), epochs=30).history
    assert history[-1].train["loss"] < 0.5 * history[0].train["loss"]


def test_sophia_receives_the_loss_under_its_own_name() -> None:
    learner = learners.supervised(
        Linear(), losses.mean_squared_error, optax.contrib.sophia(0.1)
    )
    state = learner.init(KEY, line())
    assert jax.eval_shape(learner.step, state, line())[0].step.shape == ()


class Sowing(linen.Module):
    @linen.compact
    def __call__(self, x):
        kernel = self.param("kernel", linen.initializers.normal(1.0), (3, 1))
        self.sow("losses", "penalty", 0.1 * jnp.sum(kernel**2))
        return x @ kernel


def test_values_sown_into_losses_are_added_to_the_loss() -> None:
    x, y = line()
    learner = learners.supervised(Sowing(), losses.mean_squared_error, optax.sgd(0.1))
    state = learner.init(KEY, (x, y))
    assert state.model_state == {}

    def loss(params):
        kernel = params["kernel"]
        return jnp.mean(jnp.square(x @ kernel - y)) + 0.1 * jnp.sum(kernel**2)

    after, measured = jax.jit(learner.step)(state, (x, y))
    found, gradient = jax.jit(jax.value_and_grad(loss))(state.params)
    np.testing.assert_allclose(
        after.params["kernel"],
        state.params["kernel"] - 0.1 * gradient["kernel"],
        rtol=1e-5,
    )
    expected = pytest.approx(float(found), rel=1e-5)
    assert measured["loss"].compute() == expected
    for batch_size in (64, 5):
        assert fdl.evaluate(learner, state, (x, y), batch_size=batch_size) == {
            "loss": expected
        }


class SowingEach(linen.Module):
    @linen.compact
    def __call__(self, x):
        self.sow("losses", "penalty", jnp.square(x).mean(axis=-1))
        return linen.Dense(1)(x)


def test_a_sown_value_for_each_example_is_refused() -> None:
    learner = learners.supervised(
        SowingEach(), losses.mean_squared_error, optax.sgd(0.1)
    )
    message = r"sows penalty of shape \(2,\).*such as their mean"
    with pytest.raises(fdl.DataError, match=message):
        train(learner, line())


def test_parameters_are_projected_after_each_update() -> None:
    clip = lambda params: jax.tree.map(lambda p: jnp.clip(p, -0.1, 0.1), params)
    learner = learners.supervised(
        Linear(), losses.mean_squared_error, optax.sgd(0.1), project=clip
    )
    run = train(learner, line(), epochs=3)
    assert all(np.abs(p).max() <= 0.1 for p in jax.tree.leaves(run.state.params))


def test_answers_are_chosen_by_name() -> None:
    x, _ = line()
    label = np.arange(64) % 3
    make = lambda **options: learners.supervised(
        Linear(3), losses.cross_entropy, optax.sgd(0.1), **options
    )
    state = make().init(KEY, (x, label))
    predict = lambda answer: fdl.predict(make(answer=answer), state, x)
    logits = predict("logits")
    np.testing.assert_array_equal(predict("values"), logits)
    for name in (None, "probabilities"):
        np.testing.assert_allclose(predict(name), jax.nn.softmax(logits), rtol=1e-6)
    np.testing.assert_array_equal(
        predict(lambda outputs: outputs.argmax(-1)), logits.argmax(-1)
    )
    with pytest.raises(ValueError, match="answer='odds' must be one of probabilities"):
        make(answer="odds")
    free = learners.supervised(
        Linear(squeeze=True), lambda y, t: y, optax.sgd(0.1), answer="probabilities"
    )
    with pytest.raises(ValueError, match="needs an axis of classes"):
        fdl.predict(free, free.init(KEY, (x, label)), x)


def test_an_error_in_a_model_is_raised_unchanged() -> None:
    class Broken(linen.Module):
        def __call__(self, x):
            raise KeyError("of the model")

    learner = learners.supervised(Broken(), losses.cross_entropy, optax.sgd(0.1))
    with pytest.raises(KeyError, match="of the model"):
        train(learner, (line()[0], np.zeros(64, np.int32)))


def test_fit_takes_data_on_a_mesh_with_explicit_axes() -> None:
    mesh = jax.make_mesh((1,), ("data",))
    spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    x, y = line()
    learner = learners.supervised(Linear(), losses.mean_squared_error, optax.sgd(0.1))
    placed = jax.device_put((x, y), spread)
    run = train(learner, placed, epochs=2, validation_data=placed)
    plain = train(learner, (x, y), epochs=2)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6),
        run.state.params,
        plain.state.params,
    )
    assert fdl.predict(learner, run.state, placed[0]).shape == (64, 1)
    assert fdl.evaluate(learner, run.state, placed)["loss"] == pytest.approx(
        run.history[-1].validation["loss"], rel=1e-6
    )
    # A state that was placed there, by hand or from a file, goes with the data.
    state = jax.device_put(
        plain.state, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    )
    assert train(learner, placed, epochs=3, state=state).epoch == 3
    assert fdl.predict(learner, state, placed[0]).shape == (64, 1)
    assert fdl.evaluate(learner, state, placed)["loss"] == pytest.approx(
        fdl.evaluate(learner, plain.state, (x, y))["loss"], rel=1e-6
    )


def test_fit_runs_within_a_mesh_with_explicit_axes() -> None:
    mesh = jax.make_mesh((1,), ("data",))
    x, y = line()
    learner = learners.supervised(Linear(), losses.mean_squared_error, optax.sgd(0.1))
    plain = train(learner, (x, y), epochs=2)
    with jax.set_mesh(mesh):
        spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
        for data in ((x, y), jax.device_put((x, y), spread)):
            run = train(learner, data, epochs=2, validation_data=data)
            assert run.history[-1].train == pytest.approx(plain.history[-1].train)
            assert fdl.predict(learner, run.state, data[0]).shape == (64, 1)
            assert fdl.evaluate(learner, run.state, data) == pytest.approx(
                run.history[-1].validation
            )


def test_predict_refuses_inputs_of_another_shape_and_single_examples() -> None:
    x, y = line()
    learner = learners.supervised(Linear(), losses.mean_squared_error, optax.sgd(0.1))
    state = learner.init(KEY, (x, y))
    with pytest.raises(fdl.DataError, match=r"does not take inputs of shape \(3, 5\)"):
        fdl.predict(learner, state, np.zeros((4, 5), np.float32))
    with pytest.raises(fdl.DataError, match=r"too many .* Or pass image alone\."):
        fdl.predict(learner, state, fdl.Batch(x, np.arange(64) % 3))
    scaled = learners.supervised(
        Linear(),
        losses.mean_squared_error,
        optax.sgd(0.1),
        preprocess=lambda x: x - np.ones((1, 3)),
    )
    with pytest.raises(fdl.DataError, match=r"shape \(3, 5\) cannot be preprocessed"):
        fdl.predict(scaled, state, np.zeros((4, 5), np.float32))
    deep = learners.supervised(fdl.models.MLP(3), losses.cross_entropy, optax.sgd(0.1))
    images = np.zeros((6, 5, 5, 1), np.float32)
    state = deep.init(KEY, (images, np.arange(6) % 3))
    with pytest.raises(fdl.DataError, match=r"inputs of shape \(3, 5, 1\)"):
        fdl.predict(deep, state, images[0])
    total = learners.supervised(Total(), losses.mean_squared_error, optax.sgd(0.1))
    state = total.init(KEY, (x, y))
    with pytest.raises(
        fdl.DataError, match=r"predictions of shape \(\).*inputs\[None\]"
    ):
        fdl.predict(total, state, x)


class Total(linen.Module):
    """A module that sums over all examples."""

    @linen.compact
    def __call__(self, x):
        return linen.Dense(1)(x).sum()


def test_an_mlp_treats_vectors_like_images() -> None:
    x = np.random.default_rng(0).random((8, 6), np.float32)
    model = fdl.models.MLP(3)
    variables, apply = jax.jit(model.init)(KEY, x), jax.jit(model.apply)
    answers = np.asarray(apply(variables, x))
    np.testing.assert_array_equal(answers, apply(variables, x.reshape(8, 3, 2, 1)))
    np.testing.assert_allclose(apply(variables, x[0]), answers[0], rtol=1e-6)


def test_the_ignored_class_may_be_out_of_range() -> None:
    import functools

    x, _ = line()
    label = np.where(np.arange(64) % 4 == 0, -1, np.arange(64) % 3)
    loss = functools.partial(losses.sparse_categorical_crossentropy, ignore_class=-1)
    learner = learners.supervised(Linear(3), loss, optax.sgd(0.1))
    train(learner, (x, label), epochs=1)
    with pytest.raises(fdl.data.DataError, match="label has the value -2"):
        train(learner, (x, np.where(label < 0, -2, label)), epochs=1)


def test_one_hot_targets_of_any_type_are_distributions() -> None:
    x, _ = line()
    label = np.arange(64) % 3
    for dtype in (np.int32, np.float32):
        targets = np.eye(3, dtype=dtype)[label]
        learner = learners.supervised(
            Linear(3), losses.categorical_crossentropy, optax.sgd(0.1)
        )
        run = train(learner, (x, targets), epochs=1)
        assert 0 < run.history[-1].train["accuracy"] < 1
    soft = learners.supervised(Linear(3), losses.cross_entropy, optax.sgd(0.1))
    with pytest.raises(fdl.data.DataError, match="targets contain -5"):
        train(soft, (x, np.full((64, 3), -5.0, np.float32)))


def test_a_loss_that_starts_out_nonfinite_is_blamed_on_the_data() -> None:
    x, y = line()
    learner = learners.supervised(
        Linear(), lambda y, t: jnp.log(y - t - 1e9)[:, 0], optax.sgd(0.1)
    )
    with pytest.raises(fdl.DivergenceError, match="targets for values out of range"):
        train(learner, (x, y))

"""The supervised learner: its updates, metrics and random draws."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl

BATCH = fdl.Batch(
    np.random.default_rng(0).integers(0, 256, (12, 4, 4, 1), np.uint8),
    np.arange(12, dtype=np.int32) % 3,
)


class Normalized(linen.Module):
    """A classifier with running statistics and dropout."""

    dropout_rate: float = 0.0

    @linen.compact
    def __call__(self, image, *, train=False):
        x = image.reshape(*image.shape[:-3], -1)
        x = linen.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        x = linen.Dropout(self.dropout_rate, deterministic=not train)(x)
        return linen.Dense(3)(x)


def make(model, optimizer=None, **options):
    learner = fdl.learners.supervised(
        model, fdl.losses.cross_entropy, optimizer or optax.sgd(0.1), **options
    )
    return learner, jax.jit(learner.init)(jax.random.key(0), BATCH)


def test_a_step_is_gradient_descent_on_the_mean_loss() -> None:
    model = fdl.models.MLP(3, hidden_sizes=(5,))
    learner, state = make(model)

    def loss(params):
        logits = model.apply({"params": params}, BATCH.image / np.float32(255))
        return optax.softmax_cross_entropy_with_integer_labels(
            logits, BATCH.label
        ).mean()

    value, grads = jax.jit(jax.value_and_grad(loss))(state.params)
    after, measured = jax.jit(learner.step)(state, BATCH)
    jax.tree.map(
        lambda a, p, g: np.testing.assert_allclose(
            a, p - 0.1 * g, rtol=1e-5, atol=1e-6
        ),
        after.params,
        state.params,
        grads,
    )
    assert measured["loss"].total / measured["loss"].weight == pytest.approx(
        float(value), rel=1e-5
    )
    assert measured["loss"].weight == 12
    assert int(after.step) == 1


class WithAuxiliaryHead(linen.Module):
    """A classifier that returns the logits of two heads in training."""

    @linen.compact
    def __call__(self, image, *, train=False):
        x = image.reshape(*image.shape[:-3], -1)
        logits, auxiliary = linen.Dense(3)(x), linen.Dense(3)(x)
        return (logits, auxiliary) if train else logits


def test_losses_of_several_outputs_are_weighted() -> None:
    model = WithAuxiliaryHead()
    learner, state = make(model, loss_weights=(1.0, 0.25))

    def loss(params):
        image = BATCH.image / np.float32(255)
        heads = model.apply({"params": params}, image, train=True)
        main, other = (fdl.losses.cross_entropy(y, BATCH.label).mean() for y in heads)
        return main + 0.25 * other, main

    slopes = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (_, main), grads = slopes(state.params)
    after, measured = jax.jit(learner.step)(state, BATCH)
    wanted = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, grads)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 1e-6), after.params, wanted
    )
    # Training and evaluation measure the same loss.
    evaluated = jax.jit(learner.evaluate)(state, BATCH)
    for measure in (measured, evaluated):
        assert float(measure["loss"].compute()) == pytest.approx(float(main), rel=1e-5)
    assert measured["accuracy"].compute() == evaluated["accuracy"].compute()


def test_a_wrong_number_of_loss_weights_is_refused() -> None:
    learner, state = make(WithAuxiliaryHead(), loss_weights=(1.0, 0.3, 0.3))
    with pytest.raises(ValueError, match=r"0.3\) must .* a tuple of 2"):
        learner.step(state, BATCH)


def test_running_statistics_follow_the_batches() -> None:
    learner, state = make(Normalized())
    x = BATCH.image.reshape(12, -1).astype(np.float32) / 255
    after, _ = jax.jit(learner.step)(state, BATCH)
    found = after.model_state["batch_stats"]["BatchNorm_0"]
    np.testing.assert_allclose(found["mean"], 0.1 * x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found["var"], 0.9 + 0.1 * x.var(0), rtol=1e-5)
    evaluate = jax.jit(learner.evaluate)
    same = evaluate(after, BATCH)["loss"].total
    assert same == evaluate(after, BATCH)["loss"].total
    frozen = after._replace(model_state=state.model_state)
    assert evaluate(frozen, BATCH)["loss"].total != same


def test_randomness_depends_only_on_key_and_step() -> None:
    learner, state = make(Normalized(dropout_rate=0.5))
    step = jax.jit(learner.step)
    loss = lambda state: float(step(state, BATCH)[1]["loss"].total)
    assert loss(state) == loss(state)
    assert loss(state) != loss(state._replace(step=jnp.int32(1)))
    assert loss(state) != loss(state._replace(key=jax.random.key(9)))


def test_predictions_are_the_softmax_of_the_logits() -> None:
    model = fdl.models.MLP(3, hidden_sizes=(5,))
    learner, state = make(model)
    logits = model.apply({"params": state.params}, BATCH.image / np.float32(255))
    np.testing.assert_allclose(
        learner.predict(state, BATCH.image), jax.nn.softmax(logits), rtol=1e-5
    )


def test_metrics_and_preprocessing_can_be_chosen() -> None:
    def least(logits, label):
        return fdl.metrics.mean(jnp.min(logits, axis=-1))

    model = fdl.models.MLP(3, hidden_sizes=())
    learner, state = make(model, metrics={"least": least}, preprocess=lambda x: x * 0.0)
    assert sorted(learner.evaluate(state, BATCH)) == ["least", "loss"]
    np.testing.assert_allclose(learner.predict(state, BATCH.image), 1 / 3, rtol=1e-6)


@pytest.mark.parametrize(
    "metric", [lambda o, t: jnp.mean(o), lambda o, t: 1.0, lambda o, t: o[:, 0]]
)
def test_metrics_that_return_plain_numbers_are_refused_with_a_remedy(metric) -> None:
    learner, state = make(fdl.models.MLP(3), metrics={"mine": metric})
    with pytest.raises(ValueError, match=r"'mine' returns .*fdl\.metrics\.mean"):
        fdl.evaluate(learner, state, BATCH)


def test_a_metric_named_loss_is_refused() -> None:
    with pytest.raises(ValueError, match="'loss', which is always measured"):
        make(fdl.models.MLP(3), metrics={"loss": fdl.metrics.accuracy})


@pytest.mark.parametrize(
    "optimizer",
    [
        fdl.keras.sgd(0.1, loss_scale_factor=1024.0),
        optax.chain(fdl.keras.loss_scaled(optax.sgd(0.1))),
    ],
)
def test_loss_scaling_changes_neither_the_update_nor_the_reported_loss(
    optimizer,
) -> None:
    model = fdl.models.MLP(3, hidden_sizes=(5,))
    steps = []
    for each in (optax.sgd(0.1), optimizer):
        learner, state = make(model, each)
        after, measured = jax.jit(learner.step)(state, BATCH)
        steps.append((after.params, measured["loss"].total))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), *steps)

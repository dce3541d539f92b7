"""The adversarial learner: its updates, its random draws, and its average."""

import functools

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import losses
from fdl.learners import adversarial
from fdl.learners.adversarial import draw

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 4, 4, 1), np.uint8)
BATCH = fdl.Batch(IMAGES, np.arange(12, dtype=np.int32) % 3)


class Generator(linen.Module):
    """A generator with running statistics."""

    @linen.compact
    def __call__(self, latent, *, train=False):
        x = linen.Dense(8, name="dense")(latent)
        x = linen.BatchNorm(not train, momentum=0.9, name="norm")(x)
        x = jnp.tanh(linen.Dense(16, name="head")(jnp.tanh(x)))
        return x.reshape(*x.shape[:-1], 4, 4, 1)


class Discriminator(linen.Module):
    """A discriminator with running statistics and dropout."""

    dropout_rate: float = 0.0

    @linen.compact
    def __call__(self, image, *, train=False):
        x = image.reshape(*image.shape[:-3], -1)
        x = linen.BatchNorm(not train, momentum=0.5, name="norm")(x)
        x = jnp.tanh(linen.Dense(8, name="dense")(x))
        x = linen.Dropout(self.dropout_rate, deterministic=not train)(x)
        return linen.Dense(1, name="head")(x)


@functools.cache  # each new learner compiles a new program
def make(loss=losses.non_saturating, dropout_rate=0.0, rate=0.1, **options):
    learner = adversarial(
        Generator(),
        Discriminator(dropout_rate),
        loss,
        optax.sgd(rate),
        optax.sgd(rate),
        latent_size=5,
        **options,
    )
    return learner, jax.jit(learner.init)(jax.random.key(0), BATCH)


def close(a, b, tolerance=1e-5):
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=tolerance, atol=1e-6), a, b
    )


def differ(a, b):
    return any(jax.tree.leaves(jax.tree.map(lambda x, y: bool(jnp.any(x != y)), a, b)))


def test_the_discriminator_is_updated_first_then_the_generator_against_it() -> None:
    learner, state = make()
    after, measured = jax.jit(learner.step)(state, BATCH)
    keys = jax.random.split(jax.random.fold_in(state.key, 0), 2)
    latents = [draw(key, 12, 5).latent for key in keys]
    images = 2 * (IMAGES.astype(np.float32) / 255) - 1

    def apply(model, name, params, x):
        variables = {"params": params, **state.model_state[name]}
        return model.apply(variables, x, train=True, mutable=["batch_stats"])[0]

    make_images = jax.jit(lambda params, z: apply(Generator(), "generator", params, z))
    discriminate = lambda params, x: apply(Discriminator(), "discriminator", params, x)
    generated = make_images(state.params["generator"], latents[0])

    def first(params):
        real, fake = discriminate(params, images), discriminate(params, generated)
        return jnp.mean(jax.nn.softplus(-real) + jax.nn.softplus(fake))

    loss, grads = jax.jit(jax.value_and_grad(first))(state.params["discriminator"])
    moved = lambda p, g: p - 0.1 * g
    discriminator = jax.tree.map(moved, state.params["discriminator"], grads)
    close(after.params["discriminator"], discriminator)
    assert fdl.metrics.compute(measured)["discriminator_loss"] == pytest.approx(
        float(loss), rel=1e-5
    )

    def second(params):
        fake = discriminate(discriminator, make_images(params, latents[1]))
        return jnp.mean(jax.nn.softplus(-fake))

    grads = jax.jit(jax.grad(second))(state.params["generator"])
    close(
        after.params["generator"],
        jax.tree.map(moved, state.params["generator"], grads),
    )
    assert int(after.step) == 1


def test_real_and_generated_examples_are_normalized_separately() -> None:
    learner, state = make()
    after, _ = jax.jit(learner.step)(state, BATCH)
    images = (2 * (IMAGES.astype(np.float32) / 255) - 1).reshape(12, -1)
    key = jax.random.split(jax.random.fold_in(state.key, 0), 2)[0]
    generated, _ = Generator().apply(
        {
            "params": state.params["generator"],
            **state.model_state["generator"],
        },
        draw(key, 12, 5).latent,
        train=True,
        mutable=["batch_stats"],
    )
    # Momentum 0.5 from mean 0: first the real images, then the generated ones.
    wanted = 0.25 * images.mean(0) + 0.5 * np.asarray(generated).reshape(12, -1).mean(0)
    found = after.model_state["discriminator"]["batch_stats"]["norm"]["mean"]
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_the_discriminator_is_updated_k_times_per_update_of_the_generator() -> None:
    k = 3  # the first test covers 1
    counting = lambda: optax.chain(optax.scale_by_schedule(lambda step: 0.0))
    learner = adversarial(
        Generator(),
        Discriminator(),
        losses.non_saturating,
        counting(),
        counting(),
        latent_size=5,
        discriminator_steps=k,
    )
    state = jax.jit(learner.init)(jax.random.key(0), BATCH)
    after, measured = jax.jit(learner.step)(state, BATCH)
    count = lambda name: int(after.opt_state[name][0].count)
    assert (count("discriminator"), count("generator")) == (k, 1)
    assert measured["discriminator_loss"].weight == 12 * k
    assert measured["generator_loss"].weight == 12


def test_the_average_is_exact_and_has_its_own_statistics() -> None:
    learner, state = make(ema_decay=0.15)
    wanted = state.params["generator"]
    step = jax.jit(learner.step)
    for decay in (0, 1 / 11, 0.15):  # the smaller of 0.15 and t / (t + 10)
        before = state.extra["average"]["model_state"]["batch_stats"]["norm"]["mean"]
        key = jax.random.split(jax.random.fold_in(state.key, state.step), 2)[1]
        state, _ = step(state, BATCH)
        new = state.params["generator"]
        wanted = optax.incremental_update(new, wanted, 1 - decay)
        average = state.extra["average"]
        close(average["params"], wanted)
        dense = wanted["dense"]
        x = draw(key, 12, 5).latent @ dense["kernel"]
        mean = 0.9 * before + 0.1 * (x.mean(0) + dense["bias"])
        np.testing.assert_allclose(
            average["model_state"]["batch_stats"]["norm"]["mean"],
            mean,
            rtol=1e-4,
            atol=1e-6,
        )
    z = np.ones((2, 5), np.float32)
    average = state.extra["average"]
    variables = {"params": average["params"], **average["model_state"]}
    images = Generator().apply(variables, z)
    np.testing.assert_allclose(
        learner.predict(state, z), (images + 1) / 2, rtol=1e-5, atol=1e-6
    )


def test_the_penalty_counts_in_the_discriminators_loss() -> None:
    plain = losses.wasserstein_gp._replace(penalty=0.0)
    values = []
    for loss in (plain, losses.wasserstein_gp):
        learner, state = make(loss)
        measured = jax.jit(learner.step)(state, BATCH)[1]
        values.append(fdl.metrics.compute(measured)["discriminator_loss"])
    assert values[1] > values[0] + 0.1


def test_randomness_depends_only_on_key_and_step() -> None:
    learner, state = make(dropout_rate=0.5)
    step = jax.jit(learner.step)
    loss = lambda state: float(step(state, BATCH)[1]["discriminator_loss"].total)
    assert loss(state) == loss(state)
    assert loss(state) != loss(state._replace(step=jnp.int32(1)))
    assert loss(state) != loss(state._replace(key=jax.random.key(9)))


def test_evaluation_ignores_the_key_and_the_labels() -> None:
    learner, state = make(dropout_rate=0.5)
    evaluate = jax.jit(learner.evaluate)
    found = evaluate(state, BATCH)
    close(found, evaluate(state._replace(key=jax.random.key(9)), BATCH))
    close(found, evaluate(state, (IMAGES,)))
    assert sorted(found) == [
        "discriminator_loss",
        "fake_logit",
        "generator_loss",
        "real_logit",
    ]
    assert differ(found, evaluate(state, (IMAGES[::-1] // 2,)))


def test_fit_trains_reproducibly() -> None:
    learner, _ = make()
    fit = functools.partial(
        fdl.fit, learner, BATCH, epochs=2, batch_size=6, validation_data=BATCH
    )
    runs = [fit(key=jax.random.key(1)) for _ in range(2)]
    jax.tree.map(
        np.testing.assert_array_equal, runs[0].state.params, runs[1].state.params
    )
    assert int(runs[0].state.step) == 4
    assert np.isfinite(runs[0].history[-1].validation["generator_loss"])


@pytest.mark.parametrize("options", [{"discriminator_steps": 0}, {"ema_decay": 1.0}])
def test_numbers_out_of_range_are_refused(options) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        make(**options)


def test_evaluation_uses_the_averaged_generator() -> None:
    learner, state = make()
    for _ in range(3):
        state, _ = jax.jit(learner.step)(state, BATCH)
    measured = fdl.evaluate(learner, state, BATCH)
    shifted = lambda tree: jax.tree.map(lambda x: x + 0.5, tree)
    trained = {**state.params, "generator": shifted(state.params["generator"])}
    assert fdl.evaluate(learner, state._replace(params=trained), BATCH) == measured
    average = {
        **state.extra["average"],
        "params": shifted(state.extra["average"]["params"]),
    }
    changed = fdl.evaluate(learner, state._replace(extra={"average": average}), BATCH)
    assert changed["real_logit"] == measured["real_logit"]
    assert abs(changed["fake_logit"] - measured["fake_logit"]) > 1e-3

"""Variational and reconstructive learners: losses, noise, bounds and evaluation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl.learners import importance_weighted_bound, reconstructive, variational
from fdl.losses import bernoulli_nll, standard_normal_kl

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 2, (12, 4, 4, 1), np.uint8) * np.uint8(255)
BATCH = fdl.Batch(IMAGES, np.arange(12, dtype=np.int32) % 3)
CODERS = {
    "encoder": fdl.models.DenseEncoder((8,)),
    "decoder": fdl.models.DenseDecoder((8,), image_shape=(4, 4, 1)),
}
MODEL = fdl.models.VAE(3, **CODERS)


@functools.cache  # each new learner compiles a new program
def start(**options):
    learner = variational(MODEL, optax.sgd(0.1), **options)
    return learner, jax.jit(learner.init)(jax.random.key(0), BATCH)


@jax.jit
def parts(params, image, noise):
    logits, mean, logvar = MODEL.apply({"params": params}, image, noise)
    return bernoulli_nll(logits, image), standard_normal_kl(mean, logvar)


@pytest.mark.parametrize(("beta", "free_bits"), [(1.0, 0.0), (0.5, 0.2)])
def test_a_step_descends_the_documented_loss(beta, free_bits) -> None:
    learner, state = start(beta=beta, free_bits=free_bits)
    image = jnp.asarray(IMAGES, jnp.float32) / 255
    noise = jax.random.normal(jax.random.fold_in(state.key, 0), (12, 3))

    def loss(params):
        reconstruction, kl = parts(params, image, noise)
        cost = [jnp.maximum(free_bits, kl[:, j].mean()) for j in range(3)]
        return reconstruction.mean() + beta * sum(cost)

    value, grads = jax.jit(jax.value_and_grad(loss))(state.params)
    after, measured = jax.jit(learner.step)(state, BATCH)
    jax.tree.map(
        lambda a, p, g: np.testing.assert_allclose(a, p - 0.1 * g, atol=1e-5),
        after.params,
        state.params,
        grads,
    )
    found = fdl.metrics.compute(measured)
    assert found["loss"] == pytest.approx(float(value), rel=1e-5)
    reconstruction, kl = parts(state.params, image, noise)
    assert found["reconstruction"] == pytest.approx(float(reconstruction.mean()))
    assert found["kl"] == pytest.approx(float(kl.sum(-1).mean()), rel=1e-5)
    assert found["elbo"] == pytest.approx(-found["reconstruction"] - found["kl"])
    free = np.asarray(kl.mean(0)) < free_bits
    if free_bits:
        assert free.any(), "else the free bits have no effect"
        assert not free.all()
        assert after.params["mean"]["bias"][free] == pytest.approx(
            state.params["mean"]["bias"][free] - 0.1 * grads["mean"]["bias"][free]
        )
    assert int(after.step) == 1


@pytest.mark.parametrize("beta", [1.0, 3.0])
def test_evaluation_weights_the_divergence_by_beta(beta) -> None:
    found = fdl.evaluate(*start(beta=beta), BATCH)
    assert found["kl"] > 0.01
    weighted = found["reconstruction"] + beta * found["kl"]
    assert found["loss"] == pytest.approx(weighted, rel=1e-6)
    assert found["elbo"] == pytest.approx(-found["reconstruction"] - found["kl"])


def test_noise_depends_only_on_key_and_step() -> None:
    learner, state = start()
    step = jax.jit(learner.step)
    loss = lambda state: float(step(state, BATCH)[1]["loss"].total)
    assert loss(state) == loss(state)
    assert loss(state) != loss(state._replace(step=jnp.int32(1)))
    assert loss(state) != loss(state._replace(key=jax.random.key(9)))


@pytest.mark.parametrize("images", [IMAGES, IMAGES.astype(np.float32) / 255])
def test_evaluation_does_not_depend_on_batches_order_key_or_step(images) -> None:
    learner, state = start()
    whole = fdl.evaluate(learner, state, (images,))
    found = fdl.evaluate(learner, state, (images,), batch_size=8)  # and 4
    assert found == pytest.approx(whole, rel=1e-6)
    found = fdl.evaluate(learner, state, (images[::-1],), batch_size=8)
    assert found == pytest.approx(whole, rel=1e-6)
    other = state._replace(key=jax.random.key(7), step=jnp.int32(5))
    assert fdl.evaluate(learner, other, (images,)) == whole


def test_fixed_noise_is_standard_normal_and_differs_between_images() -> None:
    from fdl.learners.content import content_keys, content_normal

    images = RNG.integers(0, 2, (2000, 7, 7, 1), np.uint8)
    noise = np.asarray(content_normal(images, 20, np.dtype("float32")))
    assert abs(noise.mean()) < 4 / np.sqrt(noise.size)
    assert abs(noise.var() - 1) < 4 * np.sqrt(2 / noise.size)
    between = np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]
    assert abs(between) < 4 / np.sqrt(noise.size)
    assert len(np.unique(jax.random.key_data(content_keys(images)), axis=0)) == 2000
    # One pixel changes the key, and so does its position.
    single = np.eye(3, dtype=np.uint8).reshape(3, 3, 1, 1)
    others = np.concatenate([single, np.zeros_like(single[:1])])
    assert len(np.unique(jax.random.key_data(content_keys(others)), axis=0)) == 4


def test_predictions_are_reconstructions_of_the_latent_mean() -> None:
    learner, state = start()
    image = IMAGES.astype(np.float32) / 255
    logits, *_ = MODEL.apply({"params": state.params}, image, np.zeros((12, 3), "f"))
    np.testing.assert_allclose(
        learner.predict(state, IMAGES), jax.nn.sigmoid(logits), atol=1e-6
    )


def test_learning_beats_independent_pixels() -> None:
    # Two images and their negatives: each pixel is a fair coin, but an image is only
    # two bits.
    pair = RNG.integers(0, 2, (2, 4, 4, 1), np.uint8)
    images = np.concatenate([pair, 1 - pair]).repeat(8, axis=0) * np.uint8(255)
    learner = variational(MODEL, fdl.keras.adam(1e-2))
    run = fdl.fit_many(
        lambda hparams: learner,
        {},
        (images,),
        epochs=200,
        batch_size=8,
        keys=jax.random.split(jax.random.key(0), 4),
        strategy="vmap",
        members_per_chunk=4,
    )
    # Independent pixels cost 16 log 2, which is 11. One of the four may learn only one
    # of the two bits.
    assert np.mean(run.train["elbo"][:, -1]) > -5


@pytest.mark.parametrize("options", [{"beta": -1.0}, {"free_bits": float("nan")}])
def test_bad_options_are_refused(options) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"{name}="):
        variational(MODEL, optax.sgd(0.1), **options)


def exact_log_probability(model, params, image):
    """Integrate over the one latent on a fine grid, in double precision."""
    z = np.linspace(-10, 10, 4001)
    latents = jnp.asarray(z[:, None], jnp.float32)
    logits = model.apply({"params": params}, latents, method="decode")
    cost = jax.jit(lambda x: bernoulli_nll(logits, x[None].repeat(len(z), 0)))
    costs = [cost(x) for x in image]
    joint = np.exp(-np.stack(costs).astype(float) - z**2 / 2) / np.sqrt(2 * np.pi)
    return np.log(joint.sum(-1) * (z[1] - z[0]))


def test_importance_weighted_bound_reaches_the_exact_probability() -> None:
    model = fdl.models.VAE(1, **CODERS)
    learner = variational(model, optax.sgd(0.1))
    state = jax.jit(learner.init)(jax.random.key(3), BATCH)
    params = state.params
    image = (IMAGES / 255).astype(np.float32)
    exact = exact_log_probability(model, params, jnp.asarray(image)).mean()

    @jax.jit
    def bound(key):
        return {
            k: importance_weighted_bound(model, state, IMAGES, key, samples=k).mean()
            for k in (1, 4, 500)
        }

    draws = jax.vmap(bound)(jax.random.split(jax.random.key(0), 200))
    means = {k: np.mean(v) for k, v in draws.items()}
    errors = {k: np.std(v) / np.sqrt(200) for k, v in draws.items()}
    assert means[1] + 4 * errors[1] < means[4] < means[500] - 4 * errors[4]
    assert means[500] == pytest.approx(exact, abs=0.005)

    # One sample: the ELBO, with the divergence sampled instead of in closed form.
    def elbo(key):
        noise = jax.random.normal(key, (12, 1))
        logits, mean, logvar = model.apply({"params": params}, image, noise)
        kl = standard_normal_kl(mean, logvar).sum(-1)
        return (-bernoulli_nll(logits, image) - kl).mean()

    elbos = jax.jit(jax.vmap(elbo))(jax.random.split(jax.random.key(1), 200))
    error = np.hypot(errors[1], np.std(elbos) / np.sqrt(200))
    assert abs(means[1] - elbos.mean()) < 4 * error


def test_importance_weighted_bound_is_exact_for_an_exact_posterior() -> None:
    # With all weights zero, the decoder ignores the latents, and the encoder outputs
    # their prior.
    _, state = start()
    state = state._replace(params=jax.tree.map(jnp.zeros_like, state.params))
    for samples in (1, 7):
        found = importance_weighted_bound(
            MODEL, state, IMAGES, jax.random.key(0), samples=samples
        )
        np.testing.assert_allclose(found, -16 * np.log(2), rtol=1e-5)
    with pytest.raises(ValueError, match="samples=0"):
        importance_weighted_bound(MODEL, state, IMAGES, jax.random.key(0), samples=0)


@pytest.mark.parametrize("noise", [0.0, 0.4])
def test_a_denoising_autoencoder_gets_damaged_images_and_intact_targets(noise) -> None:
    seen = []

    class Recorder:
        def init(self, key, image):
            return {"params": {"bias": jnp.zeros(())}}

        def apply(self, variables, image):
            seen.append(np.asarray(jax.lax.stop_gradient(image)))
            return variables["params"]["bias"] + jnp.zeros_like(image)

    images = np.full((50, 4, 4, 1), 255, np.uint8)
    images[:, 0, 0, 0] = np.arange(50)
    learner = reconstructive(Recorder(), optax.sgd(0.1), noise=noise)
    state = learner.init(jax.random.key(0), (images,))
    measured = learner.evaluate(state, (images,))
    assert np.mean(seen[-1] == 0) == pytest.approx(noise, abs=0.06)
    first = seen[-1]
    learner.evaluate(state, (images[::-1],))
    np.testing.assert_array_equal(seen[-1][::-1], first)
    learner.predict(state, images)
    x = images / np.float32(255)
    np.testing.assert_allclose(seen[-1], x, rtol=1e-6)
    wanted = ((0.5 - x) ** 2).sum((1, 2, 3)).mean()
    found = fdl.metrics.compute(measured)
    assert found["squared_error"] == pytest.approx(wanted, rel=1e-5)
    assert found["loss"] == pytest.approx(16 * np.log(2), rel=1e-5)


def test_a_denoising_autoencoder_restores_hidden_pixels() -> None:
    images = RNG.integers(0, 2, (4, 4, 4, 1), np.uint8) * np.uint8(255)
    images = images.repeat(8, axis=0)
    learner = reconstructive(
        fdl.models.Autoencoder(3, **CODERS), fdl.keras.adam(1e-2), noise=0.3
    )
    run = fdl.fit(learner, (images,), epochs=150, batch_size=8, key=jax.random.key(0))
    found = fdl.evaluate(learner, run.state, (images,))
    damaged = 0.3 * (images == 255).sum((1, 2, 3)).mean()
    assert found["squared_error"] < damaged / 4
    with pytest.raises(ValueError, match=r"noise=1\.0"):
        reconstructive(MODEL, optax.sgd(0.1), noise=1.0)

"""Adversarial losses compared with the formulas of their papers, in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import losses

REAL, FAKE = np.random.default_rng(0).normal(scale=3, size=(2, 5, 4))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


FORMULAS = {
    "minimax": (
        -np.log(sigmoid(REAL)) - np.log(1 - sigmoid(FAKE)),
        np.log(1 - sigmoid(FAKE)),
    ),
    "non_saturating": (
        -np.log(sigmoid(REAL)) - np.log(1 - sigmoid(FAKE)),
        -np.log(sigmoid(FAKE)),
    ),
    "least_squares": (0.5 * (REAL - 1) ** 2 + 0.5 * FAKE**2, 0.5 * (FAKE - 1) ** 2),
    "wasserstein_gp": (FAKE - REAL, -FAKE),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_losses_follow_the_papers(name) -> None:
    loss, (discriminator, generator) = losses.ADVERSARIAL[name], FORMULAS[name]
    real, fake = jnp.asarray(REAL), jnp.asarray(FAKE)
    np.testing.assert_allclose(
        loss.discriminator(real, fake), discriminator, rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(loss.generator(fake), generator, rtol=1e-4, atol=1e-6)
    assert loss.penalty == (10 if name == "wasserstein_gp" else 0)


@pytest.mark.parametrize("name", FORMULAS)
def test_losses_are_finite_for_huge_logits(name) -> None:
    loss, huge = losses.ADVERSARIAL[name], jnp.array([1e4, -1e4])
    assert np.isfinite(loss.discriminator(huge, -huge)).all()
    assert np.isfinite(loss.generator(huge)).all()


@pytest.mark.parametrize("name", FORMULAS)
def test_each_player_descends_in_its_own_direction(name) -> None:
    loss, at = losses.ADVERSARIAL[name], jnp.float32(0.1)
    real, fake = jax.grad(loss.discriminator, argnums=(0, 1))(at, at)
    assert real < 0 < fake, "the discriminator raises real and lowers fake logits"
    assert jax.grad(loss.generator)(at) < 0, "the generator raises fake logits"


def test_gradient_penalty_against_numpy() -> None:
    rng = np.random.default_rng(1)
    w, v = rng.normal(size=(12, 7)), rng.normal(size=7)
    real, fake = rng.normal(size=(2, 5, 2, 3, 2))
    mix = rng.random(5)
    with jax.enable_x64(True):
        critic = lambda image: jnp.tanh(image.reshape(-1, 12) @ w) @ v
        found = losses.gradient_penalty(critic, *map(jnp.asarray, (real, fake, mix)))
    for i in range(5):
        between = (mix[i] * real[i] + (1 - mix[i]) * fake[i]).reshape(12)
        slope = w @ (v * (1 - np.tanh(between @ w) ** 2))
        wanted = (np.sqrt(np.sum(slope**2)) - 1) ** 2
        np.testing.assert_allclose(found[i], wanted, rtol=1e-12)


def test_the_penalty_of_a_flat_critic_has_a_finite_gradient() -> None:
    images, mix = jnp.ones((2, 3, 3, 1)), jnp.array([0.25, 0.5])

    def penalty(scale):
        critic = lambda image: scale * image.sum(axis=(-3, -2, -1))
        return losses.gradient_penalty(critic, images, images, mix).sum()

    value, slope = jax.value_and_grad(penalty)(0.0)
    assert float(value) == 2.0
    assert np.isfinite(slope)

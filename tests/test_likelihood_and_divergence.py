"""Likelihood and divergence compared with closed forms and with samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import losses


def test_bernoulli_nll_is_summed_over_pixels() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=3, size=(2, 3, 4, 5, 1))
    image = rng.random(logits.shape)
    p = 1 / (1 + np.exp(-logits))
    wanted = -(image * np.log(p) + (1 - image) * np.log(1 - p)).sum((-3, -2, -1))
    found = losses.bernoulli_nll(jnp.asarray(logits), jnp.asarray(image))
    assert found.shape == (2, 3)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_bernoulli_gradient_is_probability_minus_pixel() -> None:
    rng = np.random.default_rng(0)
    logits, image = jnp.asarray(rng.normal(size=(2, 3, 4, 5, 1)))
    grad = jax.grad(lambda x: losses.bernoulli_nll(x, image).sum())(logits)
    np.testing.assert_allclose(grad, jax.nn.sigmoid(logits) - image, atol=1e-6)


def test_bernoulli_is_exact_for_huge_logits() -> None:
    logits = jnp.array([1e4, -1e4, 1e4]).reshape(3, 1, 1, 1)
    image = jnp.array([1.0, 0.0, 0.0]).reshape(3, 1, 1, 1)
    np.testing.assert_allclose(losses.bernoulli_nll(logits, image), [0, 0, 1e4])
    grad = jax.grad(lambda x: losses.bernoulli_nll(x, image).sum())(logits)
    np.testing.assert_allclose(grad.ravel(), [0, 0, 1])


def test_divergence_agrees_with_samples() -> None:
    rng = np.random.default_rng(0)
    mean, logvar = rng.normal(size=(2, 4))
    deviation = np.exp(logvar / 2)
    z = mean + deviation * rng.normal(size=(400_000, 4))
    log_q = -0.5 * ((z - mean) / deviation) ** 2 - np.log(deviation)
    ratios = log_q + 0.5 * z**2
    wanted, error = ratios.mean(0), ratios.std(0) / np.sqrt(len(z))
    found = losses.standard_normal_kl(jnp.asarray(mean), jnp.asarray(logvar))
    assert (np.abs(found - wanted) < 4 * error).all()
    assert (error < 0.01).all(), "too few samples for a comparison"


def test_divergence_is_zero_only_at_the_prior_and_has_the_right_gradient() -> None:
    one = lambda x: jnp.full((1,), x, jnp.float32)
    kl = lambda m, v: losses.standard_normal_kl(one(m), one(v))[0]
    assert kl(0, 0) == 0
    assert min(kl(0.1, 0), kl(0, 0.1), kl(0, -0.1)) > 0
    m, v = 0.7, -1.3
    d_mean, d_logvar = jax.grad(kl, argnums=(0, 1))(m, v)
    assert d_mean == pytest.approx(m, rel=1e-6)
    assert d_logvar == pytest.approx((np.exp(v) - 1) / 2, rel=1e-6)


def test_divergence_of_a_nearly_standard_normal_is_accurate() -> None:
    found = losses.standard_normal_kl(jnp.zeros(1), jnp.full(1, 1e-3))
    assert found[0] == pytest.approx((np.expm1(1e-3) - 1e-3) / 2, rel=1e-3)

"""Mixed precision: the dtypes of states and products, and the error of a step."""

import operator

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import learners, losses, models, nn

RNG = np.random.default_rng(0)
IMAGE = RNG.random((16, 28, 28, 1), np.float32)
LABEL = RNG.integers(10, size=16).astype(np.int32)
LEARNERS = {
    "cnn": lambda wrap: learners.supervised(
        wrap(models.CNN(10)), losses.cross_entropy, optax.sgd(0.1)
    ),
    "lstm": lambda wrap: learners.supervised(
        wrap(models.LSTMClassifier(10)), losses.cross_entropy, optax.sgd(0.1)
    ),
    "vae": lambda wrap: learners.variational(wrap(models.VAE()), optax.sgd(1e-3)),
    "gan": lambda wrap: learners.adversarial(
        wrap(models.DCGANGenerator()),
        wrap(models.DCGANDiscriminator()),
        losses.non_saturating,
        optax.sgd(0.01),
        optax.sgd(0.01),
        latent_size=16,
    ),
}


def batch_of(name: str) -> tuple:
    if name in ("vae", "gan"):
        return (IMAGE,)
    return fdl.Batch(IMAGE[..., 0] if name == "lstm" else IMAGE, LABEL)


@pytest.mark.parametrize(
    "name", ["cnn", "lstm", "vae"]
)  # a GAN's step takes long to compile
def test_a_step_approximates_one_in_full_precision(name: str) -> None:
    full, mixed = (LEARNERS[name](wrap) for wrap in (lambda m: m, nn.MixedPrecision))
    batch = batch_of(name)
    state = jax.jit(full.init)(jax.random.key(0), batch)
    wanted, _ = jax.jit(full.step)(state, batch)
    found, measured = jax.jit(mixed.step)(state, batch)
    for a, b in zip(*map(jax.tree.leaves, (found[:4], wanted[:4])), strict=True):
        assert a.dtype == b.dtype
    assert all(total.dtype == jnp.float32 for total, _ in measured.values())
    change = [
        np.concatenate(
            [
                np.ravel(after - before)
                for after, before in zip(
                    jax.tree.leaves(each.params),
                    jax.tree.leaves(state.params),
                    strict=True,
                )
            ]
        )
        for each in (found, wanted)
    ]
    error = np.linalg.norm(change[0] - change[1]) / np.linalg.norm(change[1])
    # bfloat16 has 8 bits, and much of a first gradient cancels over the batch.
    assert 1e-4 < error < 0.2


@pytest.mark.parametrize("name", LEARNERS)
def test_products_are_in_bfloat16(name: str) -> None:
    learner, batch = LEARNERS[name](nn.MixedPrecision), batch_of(name)
    state = jax.eval_shape(learner.init, jax.random.key(0), batch)
    jaxpr = str(jax.make_jaxpr(learner.step)(state, batch))
    lines = [line for line in jaxpr.splitlines() if "= dot_general[" in line]
    assert lines
    assert all(":bf16[" in line for line in lines)


def test_attributes_are_those_of_the_model() -> None:
    assert nn.MixedPrecision(models.VAE(latent_size=7)).latent_size == 7
    with pytest.raises(AttributeError, match="no_such"):
        operator.attrgetter("no_such")(nn.MixedPrecision(models.VAE()))

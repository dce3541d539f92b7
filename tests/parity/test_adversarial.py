"""The adversarial learner compared with a training loop written in Keras.

Both get the same weights, images and latents. After every step, both losses, all
parameters and all running statistics are compared in double precision.
"""

from functools import partial
from typing import Any

import flax.linen as linen
import jax
import numpy as np
import pytest

from fdl import keras as fk
from fdl import losses, models, nn
from fdl.learners import adversarial
from fdl.learners.adversarial import draw
from lazily import keras, tf
from parity.ladder import error
from parity.sides import Subject, both, cast
from zoo import adversarial as twins

pytestmark = pytest.mark.parity

LATENTS, UPDATES, STEPS, BATCH = 6, 2, 2, 5
# Keras on TensorFlow rounds options to float32, in which these numbers are exact.
ADAM = {"beta_1": 0.5, "beta_2": 1 - 2**-8, "epsilon": 2**-23}
RATES = {"generator": 2**-9, "discriminator": 2**-8}


class Normalized(linen.Module):
    """A discriminator whose output depends on all examples of a batch."""

    @linen.compact
    def __call__(self, image: Any, *, train: bool = False) -> Any:
        x = nn.Dense(6, name="dense")(image.reshape(*image.shape[:-3], -1))
        x = nn.BatchNormalization(name="norm")(x, train=train)
        return nn.Dense(1, name="head")(nn.tanh(x))


def normalized_twin() -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(6, name="dense"),
            layers.BatchNormalization(name="norm"),
            layers.Activation("tanh"),
            layers.Dense(1, name="head"),
        ]
    )


def without_recording(model: Any, x: Any) -> Any:
    """Call a Keras model in training mode, and restore its running statistics."""
    kept = [(w, tf.identity(w.value)) for w in model.non_trainable_variables]
    y = model(x, training=True)
    for weight, value in kept:
        weight.assign(value)
    return y


class Loop:
    """The training loop, in Keras."""

    def __init__(self, name: str, generator: Any, discriminator: Any) -> None:
        self.name, self.generator, self.discriminator = name, generator, discriminator
        self.optimizers = {
            which: keras.optimizers.Adam(rate, **ADAM) for which, rate in RATES.items()
        }
        self.entropy = keras.losses.BinaryCrossentropy(from_logits=True)

    def penalty(self, real: Any, fake: Any, mix: Any) -> Any:
        epsilon = tf.reshape(mix, (-1, 1, 1, 1))
        between = epsilon * real + (1 - epsilon) * fake
        with tf.GradientTape() as tape:
            tape.watch(between)
            logits = self.discriminator(between, training=True)
        slopes = tape.gradient(logits, between)
        norms = tf.sqrt(tf.reduce_sum(tf.square(slopes), axis=[1, 2, 3]))
        return tf.reduce_mean((norms - 1) ** 2)

    def update_discriminator(self, images: Any, latent: Any, mix: Any) -> Any:
        generated = without_recording(self.generator, latent)
        with tf.GradientTape() as tape:
            real = self.discriminator(images, training=True)
            fake = self.discriminator(generated, training=True)
            if self.name == "wasserstein_gp":
                loss = tf.reduce_mean(fake) - tf.reduce_mean(real)
                loss += 10 * self.penalty(images, generated, mix)
            else:
                loss = self.entropy(tf.ones_like(real), real)
                loss += self.entropy(tf.zeros_like(fake), fake)
        weights = self.discriminator.trainable_variables
        grads = tape.gradient(loss, weights)
        self.optimizers["discriminator"].apply_gradients(
            zip(grads, weights, strict=True)
        )
        return loss

    def update_generator(self, latent: Any) -> Any:
        with tf.GradientTape() as tape:
            generated = self.generator(latent, training=True)
            fake = without_recording(self.discriminator, generated)
            if self.name == "wasserstein_gp":
                loss = -tf.reduce_mean(fake)
            else:
                loss = self.entropy(tf.ones_like(fake), fake)
        weights = self.generator.trainable_variables
        grads = tape.gradient(loss, weights)
        self.optimizers["generator"].apply_gradients(zip(grads, weights, strict=True))
        return loss


DISCRIMINATORS = {
    "non_saturating": (Normalized(), normalized_twin),
    "wasserstein_gp": (
        models.DCGANDiscriminator(features=(2, 4)),
        partial(twins.dcgan_discriminator, 2, 4),
    ),
}


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_steps_equal_a_loop_written_in_keras(name: str) -> None:
    generator = models.DCGANGenerator(features=(4, 2), momentum=0.9)
    twin = partial(twins.dcgan_generator, 4, 2, latents=LATENTS)
    latent, image = np.zeros((1, LATENTS)), np.zeros((1, 28, 28, 1))
    discriminator, its_twin = DISCRIMINATORS[name]
    generators = Subject("generator", generator, twin, (latent,))
    discriminators = Subject("discriminator", discriminator, its_twin, (image,))
    learner = adversarial(
        generator,
        discriminator,
        losses.ADVERSARIAL[name],
        fk.adam(RATES["generator"], **ADAM),
        fk.adam(RATES["discriminator"], **ADAM),
        latent_size=LATENTS,
        discriminator_steps=UPDATES,
    )
    rng = np.random.default_rng(0)
    with (
        both(generators, "float64") as (_, their_generator, generator_start, _),
        both(discriminators, "float64") as (
            _,
            their_discriminator,
            discriminator_start,
            _,
        ),
    ):
        state = jax.jit(learner.init)(jax.random.key(0), (image,))
        start = {"generator": generator_start, "discriminator": discriminator_start}
        kept = {
            which: {name: x for name, x in each.items() if name != "params"}
            for which, each in start.items()
        }
        state = state._replace(
            params={which: each["params"] for which, each in start.items()},
            model_state=cast(kept, "float64"),
            extra=cast(state.extra, "float64"),
            opt_state=cast(state.opt_state, "float64"),
        )
        step = jax.jit(learner.step)
        loop = Loop(name, their_generator.twin, their_discriminator.twin)
        for _ in range(STEPS):
            images = rng.random((BATCH, 28, 28, 1))
            keys = jax.random.split(
                jax.random.fold_in(state.key, state.step), UPDATES + 1
            )
            *for_discriminator, for_generator = (
                draw(key, BATCH, LATENTS, np.float64) for key in keys
            )
            state, measured = step(state, (images,))
            they = [
                loop.update_discriminator(
                    2 * images - 1, np.asarray(drawn.latent), np.asarray(drawn.mix)
                )
                for drawn in for_discriminator
            ]
            found = {k: float(v.total / v.weight) for k, v in measured.items()}
            errors = {
                "discriminator's loss": error(
                    found["discriminator_loss"], np.mean(they)
                ),
                "generator's loss": error(
                    found["generator_loss"],
                    loop.update_generator(np.asarray(for_generator.latent)),
                ),
            }
            # Metrics are sums in float32.
            assert max(errors.values()) < 1e-6, errors
            for which, theirs in (
                ("generator", their_generator),
                ("discriminator", their_discriminator),
            ):
                ours = {"params": state.params[which], **state.model_state[which]}
                close = partial(np.testing.assert_allclose, rtol=1e-8, atol=1e-11)
                jax.tree.map(close, ours, theirs.variables())

"""Training of a variational autoencoder compared with a loop written in Keras."""

import jax
import numpy as np
import pytest

from fdl import keras as fk
from fdl import metrics, models
from fdl.learners import variational
from lazily import keras, tf
from parity.ladder import error
from zoo import draw_variables

pytestmark = pytest.mark.parity

LATENTS = 4
SIZE = (6, 6, 1)
# Keras on TensorFlow rounds options to float32, in which these numbers are exact.
ADAM = {"beta_1": 1 - 2**-3, "beta_2": 1 - 2**-8, "epsilon": 2**-23}
RATE = 2**-6


def keras_models():
    """Return encoder and decoder; the loop samples between them."""
    layers = keras.layers
    image, z = layers.Input(SIZE), layers.Input((LATENTS,))
    x = layers.Flatten()(image)
    x = layers.Dense(16, activation="relu", name="encoder_dense1")(x)
    x = layers.Dense(12, activation="relu", name="encoder_dense2")(x)
    heads = [layers.Dense(LATENTS, name=name)(x) for name in ("mean", "logvar")]
    y = layers.Dense(12, activation="relu", name="decoder_dense1")(z)
    y = layers.Dense(16, activation="relu", name="decoder_dense2")(y)
    y = layers.Dense(36, name="decoder_head")(y)
    y = layers.Reshape(SIZE)(y)
    return keras.Model(image, heads), keras.Model(z, y)


def keras_steps(variables, batches, beta, free_bits):
    """Train with Keras and TensorFlow; yield loss, KL and weights by name."""
    encoder, decoder = keras_models()
    weights = {w.path: w for m in (encoder, decoder) for w in m.trainable_weights}
    for (layer, name), value in variables.items():
        weights[f"{layer}/{name}"].assign(value)
    optimizer = keras.optimizers.Adam(RATE, **ADAM)
    optimizer.build(list(weights.values()))
    for image, noise in batches:
        with tf.GradientTape() as tape:
            mean, logvar = encoder(image)
            logits = decoder(mean + tf.exp(logvar / 2) * noise)
            entropy = tf.nn.sigmoid_cross_entropy_with_logits(image, logits)
            reconstruction = tf.reduce_sum(entropy, axis=(1, 2, 3))
            kl = -0.5 * (1 + logvar - mean**2 - tf.exp(logvar))
            cost = tf.maximum(tf.reduce_mean(kl, axis=0), free_bits)
            loss = tf.reduce_mean(reconstruction) + beta * tf.reduce_sum(cost)
        grads = tape.gradient(loss, [w.value for w in weights.values()])
        optimizer.apply(grads)
        divergence = tf.reduce_mean(tf.reduce_sum(kl, axis=1))
        now = {path: w.numpy() for path, w in weights.items()}
        yield float(loss), float(divergence), now


@pytest.mark.parametrize(("beta", "free_bits"), [(1.0, 0.0), (2.0, 0.125)])
def test_every_step_equals_a_loop_in_keras(beta, free_bits) -> None:
    rng = np.random.default_rng(0)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        with jax.enable_x64(True):
            model = models.VAE(
                LATENTS,
                encoder=models.DenseEncoder((16, 12)),
                decoder=models.DenseDecoder((12, 16), image_shape=SIZE),
            )
            images = (rng.random((8, 10, *SIZE)) < 0.5).astype(np.float64)
            optimizer = fk.adam(RATE, **ADAM)
            learner = variational(model, optimizer, beta=beta, free_bits=free_bits)
            state = jax.jit(learner.init)(jax.random.key(0), (images[0],))
            params = draw_variables(model, images[0], images[0, :, 0, :LATENTS, 0])
            params = jax.tree.map(lambda x: np.asarray(x, float), params["params"])
            state = state._replace(params=params, opt_state=optimizer.init(params))
            # As documented, the learner's noise depends only on its key and the step.
            noise = [
                np.asarray(
                    jax.random.normal(jax.random.fold_in(state.key, i), (10, LATENTS))
                )
                for i in range(len(images))
            ]
            named = flat(params)
            theirs = keras_steps(
                named, zip(images, noise, strict=True), beta, free_bits
            )
            step, worst, floored = jax.jit(learner.step), 0.0, False
            for image, (loss, kl, weights) in zip(images, theirs, strict=True):
                state, measured = step(state, (image,))
                for (layer, name), value in flat(state.params).items():
                    worst = max(worst, error(value, weights[f"{layer}/{name}"]))
                found = metrics.compute(measured)  # in float32
                assert found["loss"] == pytest.approx(loss, rel=1e-6)
                assert found["kl"] == pytest.approx(kl, rel=1e-6)
                floored |= found["loss"] > found["reconstruction"] + beta * kl + 1e-3
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
    assert worst < 1e-10
    assert floored == (free_bits > 0), "free bits must have had an effect"


def flat(params):
    """Return parameters by the name of their layer in Keras and their own name."""
    return {
        ("_".join(key.key for key in path[:-1]), path[-1].key): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    }


@pytest.mark.parametrize(
    ("model", "shape"),
    [
        (models.DenseDecoder((8, 9)), (LATENTS,)),
        (models.ConvDecoder((4, 3), hidden_size=7), (LATENTS,)),
        (models.Autoencoder(LATENTS), (28, 28, 1)),
        (models.ConvAutoencoder(LATENTS), (28, 28, 1)),
    ],
    ids=["dense decoder", "conv decoder", "autoencoder", "conv autoencoder"],
)
def test_saved_models_predict_the_same_in_keras(model, shape, tmp_path) -> None:
    x = np.random.default_rng(1).random((3, *shape), np.float32)
    variables = draw_variables(model, x)
    fk.save_weights(tmp_path / "model.keras", model, variables, x)
    theirs = keras.models.load_model(tmp_path / "model.keras")
    assert error(model.apply(variables, x), theirs(x).numpy()) < 1e-5

"""Autoencoders, including variational ones."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fdl import models
from zoo.case import Case, Epoch, Input
from zoo.epochs import digits


def _keras_vae(coders: Callable[[], tuple[list[Any], list[Any]]]) -> Any:
    """Return a variational autoencoder, with noise as its second input."""
    import keras

    layers = keras.layers
    encoder, decoder = coders()
    image, noise = layers.Input((28, 28, 1)), layers.Input((_LATENTS,))
    features = image
    for layer in encoder:
        features = layer(features)
    mean = layers.Dense(_LATENTS, name="mean")(features)
    logvar = layers.Dense(_LATENTS, name="logvar")(features)
    logits = mean + keras.ops.exp(0.5 * logvar) * noise
    for layer in decoder:
        logits = layer(logits)
    return keras.Model([image, noise], [logits, mean, logvar])


def _keras_autoencoder() -> Any:
    import keras

    encoder, decoder = _dense_coders()
    code = keras.layers.Dense(_LATENTS, name="code")
    image = keras.layers.Input((28, 28, 1))
    return keras.Sequential([image, *encoder, code, *decoder])


def _dense_coders() -> tuple[list[Any], list[Any]]:
    import keras

    layers = keras.layers
    encoder = [
        layers.Flatten(),
        layers.Dense(48, activation="relu", name="encoder_dense1"),
        layers.Dense(32, activation="relu", name="encoder_dense2"),
    ]
    decoder = [
        layers.Dense(32, activation="relu", name="decoder_dense1"),
        layers.Dense(48, activation="relu", name="decoder_dense2"),
        layers.Dense(784, name="decoder_head"),
        layers.Reshape((28, 28, 1)),
    ]
    return encoder, decoder


def _conv_coders() -> tuple[list[Any], list[Any]]:
    import keras

    layers = keras.layers
    options = {"kernel_size": (3, 3), "strides": (2, 2), "padding": "same"}
    encoder = [
        layers.Conv2D(8, activation="relu", name="encoder_conv1", **options),
        layers.Conv2D(16, activation="relu", name="encoder_conv2", **options),
        layers.Flatten(),
        layers.Dense(32, activation="relu", name="encoder_dense"),
    ]
    up = layers.Conv2DTranspose
    decoder = [
        layers.Dense(32, activation="relu", name="decoder_dense1"),
        layers.Dense(784, activation="relu", name="decoder_dense2"),
        layers.Reshape((7, 7, 16)),
        up(8, activation="relu", name="decoder_conv1", **options),
        up(1, name="decoder_conv2", **options),
    ]
    return encoder, decoder


def _digits_to_reconstruct(latents: int = 0) -> Epoch:
    """Yield digits, with noise if there are `latents`, and the digits as targets."""
    rng = np.random.default_rng(4)
    for (image,), _ in digits((28, 28, 1), 10, batch_size=200):
        noise = rng.normal(size=(len(image), latents)).astype(image.dtype)
        zeros = np.zeros_like(noise)
        yield (
            ((image, noise), [image, zeros, zeros]) if latents else ((image,), [image])
        )


_LATENTS = 8
_DENSE = {
    "latent_size": _LATENTS,
    "encoder": models.DenseEncoder((48, 32)),
    "decoder": models.DenseDecoder((32, 48)),
}
_CONV = {
    "latent_size": _LATENTS,
    "encoder": models.ConvEncoder((8, 16), hidden_size=32),
    "decoder": models.ConvDecoder((16, 8), hidden_size=32),
}
_IMAGE = (Input((28, 28, 1)),)
_IMAGE_AND_NOISE = (*_IMAGE, Input((_LATENTS,)))

CASES = [
    Case(
        "vae",
        lambda: models.VAE(**_DENSE),
        lambda: _keras_vae(_dense_coders),
        _IMAGE_AND_NOISE,
        80_064,
        epoch=lambda: _digits_to_reconstruct(_LATENTS),
    ),
    Case(
        "conv-vae",
        lambda: models.VAE(**_CONV),
        lambda: _keras_vae(_conv_coders),
        _IMAGE_AND_NOISE,
        54_289,
        epoch=lambda: _digits_to_reconstruct(_LATENTS),
    ),
    Case(
        "autoencoder",
        lambda: models.Autoencoder(**_DENSE),
        _keras_autoencoder,
        _IMAGE,
        79_800,
        epoch=_digits_to_reconstruct,
    ),
]

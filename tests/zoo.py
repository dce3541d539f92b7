"""THE table of models: every law and every level of parity runs over its rows."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from fdl import models
from parity.digits import rows
from parity.recurrent_twins import recurrent

Epoch = Iterator[tuple[tuple[np.ndarray, ...], Any]]
"""Batches of an epoch: the model's inputs, and what they should give."""


class Input(NamedTuple):
    """What a model reads: floats in [0, 1), or integers in [0, below)."""

    shape: tuple[int, ...]  # of one example
    below: int | None = None

    def draw(self, rng: np.random.Generator, batch: tuple[int, ...]) -> np.ndarray:
        """Draw distinct examples."""
        shape = (*batch, *self.shape)
        if self.below is None:
            return rng.random(shape, np.float32)
        return rng.integers(self.below, size=shape, dtype=np.int32)


class Case(NamedTuple):
    """A model, small enough to compute with, and its twin in Keras.

    Attributes:
        name: What it is called in reports; a task of that name trains it.
        make: Builds the model.
        keras_twin: Builds the Keras model, with the same inputs and outputs in the same
            order; its layers have the names of the model's sub-modules.
        inputs: What the model reads, in order.
        num_params: Number of parameters.
        classes: The only output has logits over that many classes along its last axis,
            and learns by cross entropy; None to learn to come near to any targets.
        epoch: Yields the batches of level 4, with labels, or with an array for each
            output; None for an epoch of digits, which takes one image and `classes`.
    """

    name: str
    make: Callable[[], Any]
    keras_twin: Callable[[], Any]
    inputs: tuple[Input, ...]
    num_params: int
    classes: int | None = None
    epoch: Callable[[], Epoch] | None = None

    def arrays(self, *batch: int, seed: int = 0) -> tuple[np.ndarray, ...]:
        """Draw distinct inputs."""
        rng = np.random.default_rng(seed)
        return tuple(one.draw(rng, batch) for one in self.inputs)

    def variables(self, seed: int = 0) -> Any:
        """Draw parameters that are all distinct, biases included."""
        return draw_variables(self.make(), *self.arrays(1), seed=seed)


def draw_variables(model: Any, *inputs: Any, seed: int = 0) -> Any:
    """Draw variables for a model that are all distinct, biases included."""
    shapes = jax.eval_shape(model.init, jax.random.key(0), *inputs)
    rng = np.random.default_rng(seed)

    def draw(path: Any, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        name = path[-1].key
        fan_in = max(1, leaf.size // leaf.shape[-1])
        spread = 0.1 if len(leaf.shape) == 1 else fan_in**-0.5
        values = rng.normal(scale=spread, size=leaf.shape)
        if name == "scale":
            values = 1 + values
        if name == "var":
            values = np.exp(values)
        return values.astype(leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def _keras_cnn() -> Any:
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, (3, 3), activation="relu", name="conv1"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu", name="conv2"),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu", name="conv3"),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="dense"),
            layers.Dense(10, name="head"),
        ]
    )


def _keras_mlp() -> Any:
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(128, activation="relu", name="dense1"),
            layers.Dense(10, name="head"),
        ]
    )


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


def _digits_to_rebuild(latents: int = 0) -> Epoch:
    """Yield digits, with noise for each latent, and them again as what to come near."""
    from parity.digits import digits

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
_ROWS = (Input((28, 28)),)
_MASKED_ROWS = (Input((28, 28)), Input((28,), below=2))
_IMAGE_AND_NOISE = (*_IMAGE, Input((_LATENTS,)))

ZOO = [
    Case("cnn", lambda: models.CNN(10), _keras_cnn, _IMAGE, 93_322, classes=10),
    Case("mlp", lambda: models.MLP(10), _keras_mlp, _IMAGE, 101_770, classes=10),
    Case(
        "rnn",
        lambda: models.SimpleRNNClassifier(10),
        partial(recurrent, "SimpleRNN"),
        _ROWS,
        21_386,
        classes=10,
        epoch=rows,
    ),
    Case(
        "lstm",
        lambda: models.LSTMClassifier(10),
        partial(recurrent, "LSTM"),
        _ROWS,
        81_674,
        classes=10,
        epoch=rows,
    ),
    Case(
        "gru",
        lambda: models.GRUClassifier(10),
        partial(recurrent, "GRU"),
        _ROWS,
        61_962,
        classes=10,
        epoch=rows,
    ),
    Case(
        "lstm_two_way",
        lambda: models.LSTMClassifier(10, 16, num_layers=2, bidirectional=True),
        partial(recurrent, "LSTM", 16, 2, bidirectional=True, masked=True),
        _MASKED_ROWS,
        12_362,
        classes=10,
        epoch=partial(rows, masked=True),
    ),
    Case(
        "vae",
        lambda: models.VAE(**_DENSE),
        lambda: _keras_vae(_dense_coders),
        _IMAGE_AND_NOISE,
        80_064,
        epoch=lambda: _digits_to_rebuild(_LATENTS),
    ),
    Case(
        "conv_vae",
        lambda: models.VAE(**_CONV),
        lambda: _keras_vae(_conv_coders),
        _IMAGE_AND_NOISE,
        54_289,
        epoch=lambda: _digits_to_rebuild(_LATENTS),
    ),
    Case(
        "autoencoder",
        lambda: models.Autoencoder(**_DENSE),
        _keras_autoencoder,
        _IMAGE,
        79_800,
        epoch=_digits_to_rebuild,
    ),
]

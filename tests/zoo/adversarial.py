"""Generators and discriminators, with epochs of digits as targets or as inputs."""

import itertools
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from fdl import models
from zoo.case import Case, Input
from zoo.epochs import digits

LATENTS = 64
_STEPS = 10  # of an epoch, to take only seconds


def dense_generator() -> Any:
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((LATENTS,)),
            layers.Dense(784, activation="tanh", name="dense"),
            layers.Reshape((28, 28, 1)),
        ]
    )


def dense_discriminator() -> Any:
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(1, name="head"),
        ]
    )


def dcgan_generator(first: int, second: int, latents: int = LATENTS) -> Any:
    import keras

    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((latents,)),
            layers.Dense(49 * first, use_bias=False, name="dense"),
            layers.Reshape((7, 7, first)),
            layers.BatchNormalization(momentum=0.9, name="norm1"),
            layers.ReLU(),
            layers.Conv2DTranspose(
                second, 4, 2, padding="same", use_bias=False, name="conv1"
            ),
            layers.BatchNormalization(momentum=0.9, name="norm2"),
            layers.ReLU(),
            layers.Conv2DTranspose(
                1, 4, 2, padding="same", activation="tanh", name="conv2"
            ),
        ]
    )


def dcgan_discriminator(first: int, second: int) -> Any:
    import keras

    layers = keras.layers
    # Written out: the layer LeakyReLU has another slope, 0.3, and the activation of
    # that name rounds 0.2 to float32 at any precision.
    leaky = lambda x: keras.ops.where(x > 0, x, 0.2 * x)
    convolve = partial(
        layers.Conv2D,
        kernel_size=4,
        strides=2,
        padding="same",
        activation=leaky,
    )
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            convolve(first, name="conv1"),
            convolve(second, name="conv2"),
            layers.Flatten(),
            layers.Dense(1, name="head"),
        ]
    )


def latents_to_digits() -> Iterator[tuple[tuple[np.ndarray], list[np.ndarray]]]:
    """Yield latents, and digits in [-1, 1] as targets."""
    rng = np.random.default_rng(0)
    for (image,), _ in itertools.islice(digits((28, 28, 1), 10), _STEPS):
        yield (rng.normal(size=(len(image), LATENTS)),), [2 * image - 1]


def digits_to_scores() -> Iterator[tuple[tuple[np.ndarray], list[np.ndarray]]]:
    """Yield digits in [-1, 1], and their classes as numbers in [-1, 1]."""
    for (image,), label in itertools.islice(digits((28, 28, 1), 10), _STEPS):
        score = (label[:, None] / 4.5 - 1).astype(np.float32)
        yield (2 * image - 1,), [score]


CASES = [
    Case(
        "dense-generator",
        models.DenseGenerator,
        dense_generator,
        (Input((LATENTS,)),),
        50_960,
        epoch=latents_to_digits,
    ),
    Case(
        "dense-discriminator",
        models.DenseDiscriminator,
        dense_discriminator,
        (Input((28, 28, 1)),),
        785,
        epoch=digits_to_scores,
    ),
    Case(
        "dcgan-generator",
        lambda: models.DCGANGenerator(features=(16, 8), momentum=0.9),
        lambda: dcgan_generator(16, 8),
        (Input((LATENTS,)),),
        52_401,
        epoch=latents_to_digits,
    ),
    Case(
        "dcgan-discriminator",
        lambda: models.DCGANDiscriminator(features=(8, 16)),
        lambda: dcgan_discriminator(8, 16),
        (Input((28, 28, 1)),),
        2_985,
        epoch=digits_to_scores,
    ),
]

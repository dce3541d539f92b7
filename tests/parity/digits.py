"""An epoch of real digits in the shape that a model reads."""

import itertools
from collections.abc import Iterator

import jax
import numpy as np

from fdl import data

Labelled = Iterator[tuple[tuple[np.ndarray, ...], np.ndarray]]


def digits(
    shape: tuple[int, int, int], num_classes: int, batch_size: int = 64
) -> Labelled:
    """Yield the training images of mnist-5k, shuffled, resized, in [0, 1]."""
    train = data.load("mnist-5k").train
    order = np.random.default_rng(0).permutation(len(train.label))  # it comes sorted
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        image = train.image[rows].astype(np.float32) / 255
        image = jax.image.resize(image, (len(image), *shape), "bilinear")
        label = train.label[rows] % num_classes
        yield (np.asarray(image),), np.asarray(label, np.int32)


def rows(*, masked: bool = False, steps: int = 20) -> Labelled:
    """Yield digits as 28 rows of 28; if `masked`, with masks that hide a fifth.

    Only some batches, since in Keras each step of each layer takes its time.
    """
    rng = np.random.default_rng(1)
    for (image,), label in itertools.islice(digits((28, 28, 1), 10), steps):
        mask = (rng.random(image.shape[:2]) < 0.8).astype(np.int32)
        yield ((image[..., 0], mask) if masked else (image[..., 0],)), label

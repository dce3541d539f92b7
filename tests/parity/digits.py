"""An epoch of real digits in the shape that a model reads."""

from collections.abc import Iterator

import jax
import numpy as np

from fdl import data


def digits(
    shape: tuple[int, int, int], num_classes: int, batch_size: int = 64
) -> Iterator[tuple[tuple[np.ndarray], np.ndarray]]:
    """Yield the training images of mnist-5k, shuffled, resized, in [0, 1]."""
    train = data.load("mnist-5k").train
    order = np.random.default_rng(0).permutation(len(train.label))  # it comes sorted
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        image = train.image[rows].astype(np.float32) / 255
        image = jax.image.resize(image, (len(image), *shape), "bilinear")
        label = train.label[rows] % num_classes
        yield (np.asarray(image),), np.asarray(label, np.int32)

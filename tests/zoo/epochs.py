"""Epochs of real data for level 4, in the shape of a model's input."""

import jax
import numpy as np

from fdl import data
from zoo.case import Epoch


def digits(
    shape: tuple[int, int, int], num_classes: int, batch_size: int = 64
) -> Epoch:
    """Yield the 4,000 training images of mnist-5k, shuffled and resized, in [0, 1]."""
    train = data.load("mnist-5k", validation=None).train
    order = np.random.default_rng(0).permutation(
        len(train.label)
    )  # labels cycle from 0 to 9
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        image = train.image[rows].astype(np.float32) / 255
        image = jax.image.resize(image, (len(image), *shape), "bilinear")
        label = train.label[rows] % num_classes
        yield (np.asarray(image),), np.asarray(label, np.int32)

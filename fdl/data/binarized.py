"""Binarization of images."""

import numpy as np
from jaxtyping import UInt8

from fdl.arrays import PyTree
from fdl.data.dataset import Dataset

SEED = 0
"""Seed of `binarize`, fixed so that everyone evaluates on the same pixels."""

Pixels = UInt8[np.ndarray, "*shape"]


def binarize(dataset: Dataset) -> Dataset:
    """Set every pixel to 0 or 255, at random by its brightness, once for all epochs.

    A pixel `v` of 0 to 255 becomes 255 with probability `v / 255`: the stochastic
    binarization of Salakhutdinov & Murray (2008), drawn once and not in every epoch.
    Draws come from NumPy's `default_rng(SEED)`, first for the published training set in
    its order, then for the test set, so an image gets the same pixels whatever is held
    out for validation.

    Args:
        dataset: A dataset of uint8 images.

    Example:
        >>> import fdl
        >>> dataset = binarize(fdl.data.load("mnist-5k"))
        >>> np.unique(dataset.test.image).tolist()
        [0, 255]
    """
    rng = np.random.default_rng(SEED)

    def levels(count: int) -> Pixels:
        # Uniform from 0 to 254: exactly `v` of these 255 values are below `v`.
        shape = (count, *np.shape(dataset.train.image)[1:])
        return rng.integers(255, size=shape, dtype=np.uint8)

    train, validation, test = dataset.train, dataset.validation, dataset.test
    if validation is None:
        train = _drawn(train, levels(len(train.image)))
    else:
        count = len(train.image) + len(validation.image)
        held_out = dataset.held_out
        if held_out is None:
            held_out = np.arange(len(train.image), count)
        published = levels(count)
        validation = _drawn(validation, published[held_out])
        train = _drawn(train, np.delete(published, held_out, axis=0))
    test = _drawn(test, levels(len(test.image)))
    return dataset._replace(train=train, validation=validation, test=test)


def _drawn(part: PyTree, level: Pixels) -> PyTree:
    binary = np.where(level < np.asarray(part.image), np.uint8(255), np.uint8(0))
    binary.flags.writeable = False
    return part._replace(image=binary)

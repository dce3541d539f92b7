"""Images of black and white pixels only."""

import numpy as np
from jaxtyping import UInt8

from fdl.data.catalog import Dataset

SEED = 0
"""What `binarize` draws from, so that everybody measures on the same pixels."""


def binarize(dataset: Dataset) -> Dataset:
    """Make every pixel 0 or 255 once and for all, by a draw with its own brightness.

    A pixel `v` of 0 to 255 becomes 255 with probability `v / 255`: the stochastic
    binarization of Salakhutdinov & Murray (2008), drawn once and not in every epoch.
    Draws come from NumPy's `default_rng(SEED)`, those of the training set first.

    Args:
        dataset: A data set of uint8 images.

    Example:
        >>> import fdl
        >>> dataset = binarize(fdl.data.load("mnist-5k"))
        >>> np.unique(dataset.test.image).tolist()
        [0, 255]
    """
    rng = np.random.default_rng(SEED)

    def draw(
        image: UInt8[np.ndarray, "*shape"],
    ) -> UInt8[np.ndarray, "*shape"]:
        # Draws are from 0 to 254, of which exactly `image` many are below `image`.
        below = rng.integers(255, size=image.shape, dtype=np.uint8) < image
        binary = np.where(below, np.uint8(255), np.uint8(0))
        binary.flags.writeable = False
        return binary

    train, test = (
        part._replace(image=draw(np.asarray(part.image)))
        for part in (dataset.train, dataset.test)
    )
    return dataset._replace(train=train, test=test)

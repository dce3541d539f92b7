"""Detection of images unlike those of a dataset, by principal components."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from fdl.arrays import DataError, outlined

_SHARE = 0.9  # of the variance that the components explain
_MOST_IMAGES = 4000  # to fit on
_MOST_PIXELS = 1024  # of an image to use, counting channels

Images = Shaped[np.ndarray, "_ height width channels"]


class NoveltyDetector(NamedTuple):
    """A detector of images that are unlike those of a dataset, independent of a model.

    Images are modeled by a Gaussian with the covariance of probabilistic principal
    component analysis (Tipping & Bishop, 1999, Probabilistic principal component
    analysis); the novelty of an image is its squared Mahalanobis distance from the
    mean. A network can be confident about anything, so it is not consulted.

    Attributes:
        mean: Mean of the images, at the pixels that are used.
        components: Orthonormal directions of the largest variance.
        variances: Variance along each of them.
        noise: Variance along each other direction.
        threshold: Novelty above which an image counts as unlike.
        false_alarm_rate: Share of held-out images of the dataset above the threshold.
    """

    mean: Float[np.ndarray, " pixels"]
    components: Float[np.ndarray, "components pixels"]
    variances: Float[np.ndarray, " components"]
    noise: float
    threshold: float
    false_alarm_rate: float

    def __repr__(self) -> str:
        """Return the shapes and the threshold."""
        return outlined(self)

    def novelty(self, images: Images) -> Float[np.ndarray, " _"]:
        """Return the novelty of images: 1 for the average training image.

        Args:
            images: Images of the dataset's shape, uint8 or in [0, 1].
        """
        x = _pixels(images) - self.mean
        along = x @ self.components.T
        rest = np.maximum(np.sum(x**2, axis=1) - np.sum(along**2, axis=1), 0)
        squares = np.sum(along**2 / self.variances, axis=1) + rest / self.noise
        return squares / len(self.mean)

    def unlike(self, images: Images) -> Bool[np.ndarray, " _"]:
        """Return which images are unlike those of the dataset."""
        return self.novelty(images) > self.threshold


def novelty_detector(
    train: Images, held_out: Images, *, false_alarm_rate: float = 0.01
) -> NoveltyDetector:
    """Fit a detector of images that are unlike those of a dataset.

    The components explain 90 % of the variance. Large datasets are subsampled to at
    most 4,000 images, and large images to every second pixel, or third, ..., so that at
    most 1,024 numbers remain.

    Args:
        train: Images of the dataset, uint8 or in [0, 1].
        held_out: Other images of it, which set the threshold.
        false_alarm_rate: Share of the held-out images to count as unlike, in (0, 1).

    Raises:
        DataError: If there are too few held-out images for the rate.
        ValueError: If the rate is not in (0, 1).

    Example:
        >>> draw = np.random.default_rng(0)
        >>> images = draw.normal(0.5, 0.1, (600, 8, 8, 1)).clip(0, 1)
        >>> detector = novelty_detector(images[:300], images[300:])
        >>> float(detector.unlike(images[300:]).mean().round(2))
        0.01
        >>> detector.unlike(np.zeros((1, 8, 8, 1)))
        array([ True])
    """
    if not 0 < false_alarm_rate < 1:
        raise ValueError(f"false_alarm_rate={false_alarm_rate} must be in (0, 1).")
    if len(held_out) * false_alarm_rate < 1:
        raise DataError(
            f"{len(held_out)} held-out images are too few for a rate of "
            f"{false_alarm_rate}: at least {round(1 / false_alarm_rate)} are needed."
        )
    x = _pixels(train[:: -(-len(train) // _MOST_IMAGES)])
    mean = x.mean(axis=0)
    variances, components = np.linalg.eigh(np.cov(x - mean, rowvar=False, bias=True))
    variances, components = np.maximum(variances[::-1], 0), components.T[::-1]
    share = np.cumsum(variances) / max(variances.sum(), 1e-12)
    count = min(int(np.searchsorted(share, _SHARE)) + 1, len(mean) - 1)
    detector = NoveltyDetector(
        mean.astype(np.float32),
        components[:count].astype(np.float32),
        np.maximum(variances[:count], 1e-6).astype(np.float32),
        noise=max(float(variances[count:].mean()), 1e-6),
        threshold=0.0,
        false_alarm_rate=false_alarm_rate,
    )
    threshold = np.quantile(detector.novelty(held_out), 1 - false_alarm_rate)
    return detector._replace(threshold=float(threshold))


def _pixels(images: Images) -> Float[np.ndarray, "_ pixels"]:
    size = int(np.prod(images.shape[1:]))
    step = 1
    while size / step**2 > _MOST_PIXELS:
        step += 1
    kept = np.asarray(images)[:, ::step, ::step]
    scale = 255 if images.dtype == np.uint8 else 1
    return kept.reshape(len(kept), -1).astype(np.float32) / np.float32(scale)

"""Measures of generated images."""

import jax
import numpy as np
from jaxtyping import Float, Num

from fdl import metrics
from fdl.arrays import unit_scale
from fdl.data import Dataset
from fdl.tasks.feature_extractor import extract

_DIGIT = (28, 28, 1)
_NEIGHBORS_OF = 2000  # images whose nearest training images are searched


def measure_generated(
    dataset: Dataset, images: Float[np.ndarray, "count height width channels"]
) -> dict[str, float]:
    """Measure how close generated images are to the test images; see `fdl.metrics`.

    Features are those of `fdl.tasks.feature_extractor`, trained on MNIST, for images
    converted to gray and resized to 28x28. For other data sets they serve to compare
    runs, but mean little by themselves, and classes are not counted.

    Args:
        dataset: Data that the generator was trained on.
        images: Generated images in [0, 1]; as many as there are test images, for
            comparable numbers.

    Returns:
        `frechet_distance` and its limit for infinitely many images,
        `frechet_infinity`; `precision`, `recall`, and `memorization`, from the pixels
        of the first 2,000 images; for digits also `classes`, `class_entropy` and
        `class_variation`.

    Example:
        >>> import fdl
        >>> digits = fdl.data.load("mnist-5k")
        >>> measured = measure_generated(digits, digits.test.image[:500] / 255)
        >>> measured["classes"], measured["precision"]
        (10.0, 1.0)
    """
    train, test = np.asarray(dataset.train.image), np.asarray(dataset.test.image)
    real, made = extract(_like_digits(test)), extract(_like_digits(images))
    features = np.asarray(real.features), np.asarray(made.features)
    among = metrics.precision_recall(*features)
    first = slice(_NEIGHBORS_OF)
    flat = [
        x.reshape(len(x), -1).astype(np.float32)
        for x in (train / 255, test[first] / 255, images[first])
    ]
    measured = {
        "frechet_distance": metrics.frechet_distance(*features),
        "frechet_infinity": metrics.frechet_infinity(
            *features, smallest=len(images) // 10
        ).limit,
        "precision": among.precision,
        "recall": among.recall,
        "memorization": metrics.memorization(*flat),
    }
    if dataset.info.name in ("mnist", "mnist-5k"):
        label = np.asarray(made.probabilities).argmax(axis=-1)
        balance = metrics.class_balance(np.asarray(dataset.test.label), label, 10)
        measured |= {
            "classes": float(balance.classes),
            "class_entropy": balance.entropy,
            "class_variation": balance.variation,
        }
    return measured


def _like_digits(
    images: Num[np.ndarray, "count height width channels"],
) -> Num[np.ndarray, "count 28 28 1"]:
    """Return images in the form that the extractor takes."""
    if images.shape[1:] == _DIGIT:
        return images
    gray = unit_scale(images).mean(axis=-1, keepdims=True)
    return np.asarray(jax.image.resize(gray, (len(gray), *_DIGIT), "linear")).clip(0, 1)

"""What tasks that generate images measure of them."""

import numpy as np
from jaxtyping import Float

from fdl import metrics
from fdl.data import Dataset
from fdl.tasks.feature_extractor import extract

_NEIGHBORS_OF = 2000  # images whose neighbors among the training images are sought


def measure_generated(
    dataset: Dataset, images: Float[np.ndarray, "count 28 28 1"]
) -> dict[str, float]:
    """Return how near generated images are to the test images, see `fdl.metrics`.

    Features are those of `fdl.tasks.feature_extractor`, which knows MNIST's digits. For
    other data sets they compare runs with each other, but mean little by themselves,
    and classes are not counted.

    Args:
        dataset: What the generator was trained on.
        images: What it made, in [0, 1]; as many as there are test images, if figures
            are to be compared.

    Returns:
        `frechet_distance` and its limit for infinitely many images,
        `frechet_infinity`; `precision`, `recall`, and `memorization`, which is of
        pixels and of the first 2,000 images; for digits also `classes`,
        `class_entropy` and `class_variation`.

    Example:
        >>> import fdl
        >>> digits = fdl.data.load("mnist-5k")
        >>> measured = measure_generated(digits, digits.test.image[:500] / 255)
        >>> measured["classes"], measured["precision"]
        (10.0, 1.0)
    """
    train, test = np.asarray(dataset.train.image), np.asarray(dataset.test.image)
    real, made = extract(test), extract(images)
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
    if dataset.info.name.startswith("mnist"):
        label = np.asarray(made.probabilities).argmax(axis=-1)
        balance = metrics.class_balance(np.asarray(dataset.test.label), label, 10)
        measured |= {
            "classes": float(balance.classes),
            "class_entropy": balance.entropy,
            "class_variation": balance.variation,
        }
    return measured

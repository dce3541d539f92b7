"""The feature extractor for generated digits: an MNIST classifier with its weights.

The weights are the `weights.safetensors` of
`fdl train cnn --schedule one-cycle --validation none --seed 0`: the 93,322 parameters
of `fdl.models.CNN(10)` after 5 epochs on MNIST's training images, with an accuracy of
99.34 % on its test images.
"""

import functools
import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import jax
from flax.traverse_util import unflatten_dict
from jaxtyping import Float, Num
from safetensors.numpy import load

from fdl.arrays import Array, unit_scale
from fdl.models import CNN
from fdl.train.evaluate import in_batches
from fdl.weights import WeightsError

FILE = Path(__file__).with_name("feature_extractor.safetensors")
SHA256 = "00d4f9970a7a8ce9fdc7d171c5a3dcd8f2f2c4ede8e24bca845b0558c667e044"


class Extracted(NamedTuple):
    """Features and probabilities of images.

    Attributes:
        features: Inputs of the classifier's last layer: 64 numbers, at least 0.
        probabilities: Probability of each of the ten digits.
    """

    features: Float[Array, "images 64"]
    probabilities: Float[Array, "images 10"]


def extract(
    images: Num[Array, "images 28 28 1"], *, batch_size: int = 1000
) -> Extracted:
    """Return features and probabilities of images of digits.

    Args:
        images: uint8, or floating point in [0, 1], white on black as in MNIST.
        batch_size: Number of images at a time; only affects memory and time.

    Raises:
        WeightsError: If the file of weights is damaged.

    Example:
        >>> import numpy as np
        >>> found = extract(np.zeros((3, 28, 28, 1), np.uint8))
        >>> found.features.shape, found.probabilities.shape
        ((3, 64), (3, 10))
    """
    return in_batches(functools.partial(_extract, _variables()), images, batch_size)


@jax.jit
def _extract(variables: Any, images: Array) -> Extracted:
    logits, extra = CNN(10).apply(
        variables, unit_scale(images), mutable=["intermediates"]
    )
    seen: Any = extra["intermediates"]
    return Extracted(seen["features"][0], jax.nn.softmax(logits))


@functools.cache
def _variables() -> Any:
    content = FILE.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise WeightsError(
            f"{FILE} is damaged: its sha256 is {found}, but should be {SHA256}: "
            "install fdl again."
        )
    return unflatten_dict(load(content), sep="/")

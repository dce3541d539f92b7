"""How a task scales its data, as numbers that a file can hold."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np


class Scaling(NamedTuple):
    """`(x - mean) / deviation` of each channel, or of each column of a table.

    Attributes:
        mean: The means; their order is that of the result.
        deviation: The deviations, in the same order.
        reverse: Whether to reverse the channels first, from RGB to BGR.
    """

    mean: np.ndarray
    deviation: np.ndarray
    reverse: bool = False


def scaling_of(function: Callable[[Any], Any], given: np.ndarray) -> Scaling:
    """Return how a function scales channels, by applying it to three examples.

    What else it does is not found: compare the outputs.

    Args:
        function: Function of a batch of examples.
        given: One example, for its shape and type: 8-bit or floating point.

    Example:
        >>> from fdl.models.backbone import preprocess
        >>> found = scaling_of(lambda x: preprocess(x, "caffe"), np.ones((1, 1, 1, 3)))
        >>> found.mean.round(3), found.deviation, found.reverse
        (array([103.939, 116.779, 123.68 ]), array([1., 1., 1.]), True)
    """
    channels = given.shape[-1]
    exact = given.dtype == np.uint8
    step, top = np.arange(channels) % 256, 255 if exact else 1
    each = np.ones((1, *given.shape[1:]))
    probes = np.concatenate([0 * each, top * each, step * each])
    with jax.enable_x64():
        found = np.asarray(function(probes.astype(np.uint8 if exact else float)), float)
    zero, one, stepped = found.reshape(3, -1, channels)[:, 0]
    deviation = top / (one - zero)
    in_order = np.allclose((stepped - zero) * deviation, step, atol=1e-3)
    return Scaling(-zero * deviation, deviation, not in_order)

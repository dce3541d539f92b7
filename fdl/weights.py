"""The error and the descriptions shared by all formats of weights."""

from typing import Any


class WeightsError(ValueError):
    """A file of weights is damaged, or its weights do not fit the model."""


def describe(array: Any) -> str:
    """Return the type and shape of an array, for messages.

    Example:
        >>> import numpy as np
        >>> describe(np.zeros((3, 2), np.float32))
        'float32[3, 2]'
    """
    return f"{array.dtype}{list(array.shape)}"

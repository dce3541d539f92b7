"""How tasks turn data into the inputs of their models."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from fdl.arrays import Array, unit_scale
from fdl.data import DatasetInfo


def inputs_of(info: DatasetInfo) -> Callable[[Array], Array]:
    """Return the function that turns examples into inputs, for most models.

    It scales 8-bit pixels to [0, 1], standardizes rows of tables, and passes tokens on
    as integers and music as zeros and ones.

    Example:
        >>> import fdl.data
        >>> inputs = inputs_of(fdl.data.load("mnist-5k").info)
        >>> inputs(np.full((1, 28, 28, 1), 255, np.uint8)).max()
        Array(1., dtype=float32)
    """
    if info.kind in ("vector", "number"):
        return standardized(info)
    if info.kind in ("text", "document"):
        return lambda token: jnp.asarray(token, jnp.int32)
    if info.kind == "music":
        return lambda frames: jnp.asarray(frames, jnp.float32)
    return unit_scale


def standardized(info: DatasetInfo) -> Callable[[Array], Array]:
    """Return a function that standardizes features to mean 0 and deviation 1.

    Example:
        >>> import fdl.data
        >>> data = fdl.data.from_arrays(np.eye(6)[:, :2] * 8, [0, 1] * 3)
        >>> x = standardized(data.info)(data.train.image)
        >>> [round(float(value), 3) for value in (x.mean(), x.std())]
        [0.0, 1.0]
    """
    (features,) = info.input_shape
    mean, deviation = (
        np.array([values[:features]], np.float32)
        for values in (info.means, info.deviations)
    )

    def standardize(x: Array) -> Array:
        x = jnp.asarray(x)
        return (x.astype(jnp.promote_types(x.dtype, jnp.float32)) - mean) / deviation

    return standardize

"""The type of a change of an example, and the composition of several."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Float, Num

from fdl.arrays import Array, DataError, Key, PyTree, Seed, as_key, unit_scale

Change = Callable[[Key, PyTree], PyTree]
"""`(key, example) -> example`; the example has no batch axis."""

Image = Num[Array, "..."]
"""One image, `(height, width, channels)`."""

Pixels = Float[jax.Array, "height width channels"]


def compose(*changes: Change) -> Change:
    """Build a change that applies several changes one after the other.

    Example:
        >>> from fdl.data.augment import flip, noise, shift
        >>> change = jax.jit(compose(shift(2), flip(), noise(0.1)))
        >>> change(jax.random.key(0), jnp.zeros((28, 28, 1))).shape
        (28, 28, 1)
    """

    def change(key: Seed, example: PyTree) -> PyTree:
        key = as_key(key)
        for index, one in enumerate(changes):
            example = one(jax.random.fold_in(key, index), example)
        return example

    return change


def pixels(image: Image) -> Pixels:
    """Return an image in floating point, as changes need it.

    Raises:
        DataError: If it is not one image, or neither 8-bit nor in floating point.

    Example:
        >>> pixels(jnp.full((1, 1, 1), 255, jnp.uint8)).ravel()
        Array([1.], dtype=float32)
    """
    image = jnp.asarray(unit_scale(image))
    if image.ndim != 3 or not jnp.issubdtype(image.dtype, jnp.floating):
        raise DataError(
            f"an image has shape {image.shape} and dtype {image.dtype}, but changes "
            "take (height, width, channels), 8-bit or in floating point."
        )
    return image

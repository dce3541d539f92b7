"""The vocabulary: what every other file means by an array, a key and a batch.

Words for axes in shapes, throughout the library: `batch`, `height`, `width`,
`channels`, `features`, `classes`, `time`, `heads`, `vocab`, `latent`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
from jaxtyping import Float

Array = jax.Array | np.ndarray
"""An array on the host or on a device; shapes read `Float[Array, "*batch n"]`."""

Key = jaxtyping.Key[jax.Array, ""]
"""A typed random key, as `jax.random.key(0)` makes it."""

PyTree = Any
"""Nested tuples, lists and dictionaries of arrays."""

Number = float | Float[Array, ""]
"""A hyperparameter: a Python number, which is validated, or an array or traced scalar,
whose value can change without recompiling and is not looked at."""


class DataError(ValueError):
    """Data that cannot be loaded or used; says what is wrong, the value, the remedy."""


class Batch(NamedTuple):
    """Examples with their answers; the first axis of both counts examples.

    Attributes:
        image: What goes into the model, `(batch, height, width, channels)`: uint8 in
            0..255, or floating point in [0, 1].
        label: Class of each example, `(batch,)`, an integer from 0.

    Example:
        >>> batch = Batch(np.zeros((8, 28, 28, 1), np.uint8), np.arange(8))
        >>> batch.image.shape, batch.label.shape
        ((8, 28, 28, 1), (8,))
    """

    image: Array
    label: Array


class Pairs(NamedTuple):
    """Inputs and the numbers to predict from them; the first axis counts examples.

    Attributes:
        inputs: What goes into the model, `(batch, features)`.
        targets: Numbers to predict, `(batch, values)`.

    Example:
        >>> pairs = Pairs(np.zeros((8, 3), np.float32), np.zeros((8, 1), np.float32))
        >>> pairs.targets.shape
        (8, 1)
    """

    inputs: Array
    targets: Array


class Tokens(NamedTuple):
    """Pieces of text, as numbers; the first axis of both counts pieces.

    Attributes:
        token: What the model reads, `(batch, time)`, integers from 0.
        target: What comes next after each of them, `(batch, time)`.

    Example:
        >>> text = np.array([3, 1, 4, 1, 5])
        >>> Tokens(text[None, :-1], text[None, 1:]).target
        array([[1, 4, 1, 5]])
    """

    token: Array
    target: Array


class Buckets(NamedTuple):
    """Examples in parts whose arrays differ in shape, such as sequences by length.

    Each part is a pytree of arrays with a common first axis, as other data are. A batch
    comes from one part, so there is one compiled program for each.

    Attributes:
        parts: The parts, all of the same structure.

    Example:
        >>> short, long = np.zeros((8, 16), np.int32), np.zeros((4, 32), np.int32)
        >>> len(Buckets((Tokens(short, short), Tokens(long, long))).parts)
        2
    """

    parts: tuple[PyTree, ...]


def unit_scale(x: Array) -> Array:
    """Turn 8-bit pixels into float32 in [0, 1]; leave every other type as it is.

    Example:
        >>> unit_scale(np.array([0, 255], np.uint8))
        Array([0., 1.], dtype=float32)
        >>> unit_scale(np.array([0.5], np.float32))
        array([0.5], dtype=float32)
    """
    return jnp.asarray(x, jnp.float32) / 255 if x.dtype == jnp.uint8 else x


def is_concrete(x: Number) -> bool:
    """Return whether a hyperparameter's value can be read while tracing.

    Example:
        >>> is_concrete(0.5)
        True
    """
    return not isinstance(x, jax.Array)


def is_on(setting: Number | None) -> bool:
    """Return whether a setting may have an effect: 0 and None turn it off.

    Example:
        >>> is_on(0.5), is_on(0.0), is_on(None)
        (True, False, False)
    """
    return setting is not None and not (is_concrete(setting) and setting == 0)

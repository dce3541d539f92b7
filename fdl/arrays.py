"""The vocabulary: what every other file means by an array, a key and a batch.

Words for axes in shapes, throughout the library: `batch`, `height`, `width`,
`channels`, `features`, `classes`, `time`, `heads`, `vocab`, `latent`.
"""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, NoReturn

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
from jax.core import Tracer
from jaxtyping import Shaped

from fdl.plain import Number as Number
from fdl.plain import is_concrete as is_concrete
from fdl.plain import is_on as is_on

Array = jax.Array | np.ndarray
"""An array on the host or on a device; shapes read `Float[Array, "*batch n"]`."""

Key = jaxtyping.Key[jax.Array, ""]
"""A typed random key, as `jax.random.key(0)` makes it."""

Keys = Shaped[jax.Array, " members"]
"""Several random keys, one for each member, as `jax.random.split` makes them."""

Seed = int | np.integer | Shaped[Array, "..."]
"""What is taken for a random key: a key, or a seed, which means `jax.random.key(seed)`.
See `as_key`."""

Seeds = Seed | Sequence[Seed]
"""What is taken for several random keys: keys or seeds, in an array or any sequence."""

PyTree = Any
"""Nested tuples, lists and dictionaries of arrays."""


class DataError(ValueError):
    """Data that cannot be loaded or used; says what is wrong, the value, the remedy."""


def outlined(fields: Any) -> str:
    """Return the `repr` of a named tuple, with the shapes of arrays for their values.

    Example:
        >>> outlined(Tokens(np.zeros((8, 16), np.int32), 3))
        'Tokens(token=int32[8, 16], target=3)'
    """

    def told(value: Any) -> str:
        if isinstance(value, Array) and value.ndim:
            return f"{value.dtype}{list(value.shape)}"
        if isinstance(value, dict):
            return "{" + ", ".join(f"{k!r}: {told(x)}" for k, x in value.items()) + "}"
        return repr(value)

    named = (f"{name}={told(value)}" for name, value in fields._asdict().items())
    return f"{type(fields).__name__}({', '.join(named)})"


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

    def __repr__(self) -> str:
        """Return the shapes."""
        return outlined(self)


class Rows(NamedTuple):
    """Examples with a number to predict; the first axis of both counts them.

    Attributes:
        inputs: What goes into the model, `(batch, features)`.
        targets: The numbers, `(batch, 1)`.

    Example:
        >>> rows = Rows(np.zeros((8, 3), np.float32), np.ones((8, 1), np.float32))
        >>> rows.inputs.shape, rows.targets.shape
        ((8, 3), (8, 1))
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

    def __repr__(self) -> str:
        """Return the shapes."""
        return outlined(self)


class Documents(NamedTuple):
    """Texts with their classes, as numbers; the first axis of both counts texts.

    Attributes:
        token: Words of each text, `(batch, time)`, integers from 0, which pads.
        label: Class of each text, `(batch,)`, an integer from 0.

    Example:
        >>> Documents(np.zeros((8, 16), np.int32), np.arange(8))
        Documents(token=int32[8, 16], label=int64[8])
    """

    token: Array
    label: Array

    def __repr__(self) -> str:
        """Return the shapes."""
        return outlined(self)


PAD, START, END, UNKNOWN = range(4)
"""Tokens of `Pairs` that are no letters or words: padding, the start and the end of a
target, and what is not in a vocabulary."""


class Pairs(NamedTuple):
    """Texts with the texts that they become, as numbers; the first axis counts pairs.

    A source has its letters or words only. A target ends in `END`, and does not begin
    with `START`, which is what a model reads before it. Both are padded at the end. A
    source that occurs in several pairs has several right answers.

    Attributes:
        source: What the model reads, `(batch, source_time)`, integers from 0.
        target: What it becomes, `(batch, time)`, integers from 0.

    Example:
        >>> Pairs(np.array([[5, 4, 0]]), np.array([[7, 7, 2, 0]]))
        Pairs(source=int64[1, 3], target=int64[1, 4])
    """

    source: Array
    target: Array

    def __repr__(self) -> str:
        """Return the shapes."""
        return outlined(self)


class Pieces(NamedTuple):
    """Pieces of music, frame by frame; the first axis of all counts pieces.

    Attributes:
        inputs: What is played, `(batch, time, keys)`: 1 for keys that sound, else 0.
        targets: What comes next after each frame, in the same form.
        weights: Whether there is a next frame, `(batch, time)`; False at padding.

    Example:
        >>> roll = np.zeros((8, 17, 88), np.uint8)
        >>> Pieces(roll[:, :-1], roll[:, 1:], np.ones((8, 16), bool))
        Pieces(inputs=uint8[8, 16, 88], targets=uint8[8, 16, 88], weights=bool[8, 16])
    """

    inputs: Array
    targets: Array
    weights: Array

    def __repr__(self) -> str:
        """Return the shapes."""
        return outlined(self)


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

    def __repr__(self) -> str:
        """Return the shapes."""
        return outlined(self)


def as_key(seed: Any, name: str = "key") -> Key:
    """Return the random key that a seed stands for; a key is returned as it is.

    A seed means the same everywhere: `jax.random.key(seed)`, and what `--seed` means to
    a command. A key of the older kind, as `jax.random.PRNGKey` makes it, is taken too.

    Args:
        seed: A key, or an integer from 0 to 2**32 - 1.
        name: What the caller calls it.

    Raises:
        ValueError: If it is neither, or several.

    Example:
        >>> bool(as_key(3) == jax.random.key(3))
        True
    """
    key = as_keys(seed, name)
    if key.ndim:
        raise ValueError(f"{name} has the shape {key.shape}: give one key or seed.")
    return key


def as_keys(seeds: Any, name: str = "keys") -> Shaped[jax.Array, "..."]:
    """Return the random keys that seeds stand for, of the same shape; see `as_key`.

    Example:
        >>> as_keys([0, 1]).shape, as_keys(np.arange(3)).shape, as_keys(7).shape
        ((2,), (3,), ())
    """
    if isinstance(seeds, Sequence) and not isinstance(seeds, str):
        return jnp.stack([as_key(seed, name) for seed in seeds or _none_given(name)])
    if isinstance(seeds, Array):
        if jnp.issubdtype(seeds.dtype, jax.dtypes.prng_key):
            return jnp.asarray(seeds)
        if seeds.dtype == np.uint32 and seeds.shape[-1:] == (2,):
            return jax.random.wrap_key_data(jnp.asarray(seeds))
    numbers: Any = seeds if isinstance(seeds, Tracer) else np.asarray(seeds)
    if not jnp.issubdtype(numbers.dtype, jnp.integer):
        raise ValueError(
            f"{name}={seeds!r} must be a seed, an integer from 0 to 2**32 - 1, or a "
            "random key, as jax.random.key(0) makes it."
        )
    if isinstance(numbers, np.ndarray):
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < 2**32:
            raise ValueError(f"{name}={seeds!r} must be from 0 to 2**32 - 1.")
        numbers = numbers.astype(np.uint32)
    make = jax.random.key
    for _ in numbers.shape:
        make = jax.vmap(make)
    return make(numbers)


def _none_given(name: str) -> NoReturn:
    raise ValueError(f"{name} is empty: give at least one key or seed.")


def is_matched(path: str, patterns: Iterable[str]) -> bool:
    """Return whether a path in a tree, or a part that it is in, matches a pattern.

    Example:
        >>> [is_matched("conv1/kernel", [one]) for one in ("conv1", "*/kernel", "conv")]
        [True, True, False]
    """
    parts = path.split("/")
    wholes = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    return any(fnmatchcase(one, pattern) for one in wholes for pattern in patterns)


def unit_scale(x: Array) -> Array:
    """Turn 8-bit pixels into float32 in [0, 1]; leave every other type as it is.

    Example:
        >>> unit_scale(np.array([0, 255], np.uint8))
        Array([0., 1.], dtype=float32)
        >>> unit_scale(np.array([0.5], np.float32))
        array([0.5], dtype=float32)
    """
    return jnp.asarray(x, jnp.float32) / 255 if x.dtype == jnp.uint8 else x

"""Types shared by the whole library: arrays, random keys, seeds and batches.

Names of axes in shapes, throughout the library: `batch`, `height`, `width`,
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
"""A host or device array; shapes are written `Float[Array, "*batch n"]`."""

Key = jaxtyping.Key[jax.Array, ""]
"""A typed random key, as created by `jax.random.key(0)`."""

Keys = Shaped[jax.Array, " members"]
"""Several random keys, one for each member, as returned by `jax.random.split`."""

Seed = int | np.integer | Shaped[Array, "..."]
"""A random key, or an integer seed for `jax.random.key(seed)`; see `as_key`."""

Seeds = Seed | Sequence[Seed]
"""Several random keys or seeds, in an array or any sequence."""

PyTree = Any
"""Nested tuples, lists and dictionaries of arrays."""


class DataError(ValueError):
    """Data cannot be loaded or used; the message names the fault and the remedy."""


def outlined(fields: Any) -> str:
    """Return the `repr` of a named tuple, with arrays shown by dtype and shape.

    Example:
        >>> outlined(Tokens(np.zeros((8, 16), np.int32), 3))
        'Tokens(token=int32[8, 16], target=3)'
    """

    def shown(value: Any) -> str:
        if isinstance(value, Array) and value.ndim:
            return f"{value.dtype}{list(value.shape)}"
        if isinstance(value, dict):
            return "{" + ", ".join(f"{k!r}: {shown(x)}" for k, x in value.items()) + "}"
        return repr(value)

    named = (f"{name}={shown(value)}" for name, value in fields._asdict().items())
    return f"{type(fields).__name__}({', '.join(named)})"


class Batch(NamedTuple):
    """Inputs and class labels; the first axis of both counts examples.

    Attributes:
        image: Model inputs, `(batch, height, width, channels)`: uint8 in 0..255, or
            floating point in [0, 1].
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
    """Inputs and numbers to predict; the first axis of both counts examples.

    Attributes:
        inputs: Model inputs, `(batch, features)`.
        targets: Numbers to predict, `(batch, 1)`.

    Example:
        >>> rows = Rows(np.zeros((8, 3), np.float32), np.ones((8, 1), np.float32))
        >>> rows.inputs.shape, rows.targets.shape
        ((8, 3), (8, 1))
    """

    inputs: Array
    targets: Array


class Tokens(NamedTuple):
    """Tokenized pieces of text; the first axis of both counts pieces.

    Attributes:
        token: Model inputs, `(batch, time)`, integers from 0.
        target: Token that follows each of them, `(batch, time)`.

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
    """Tokenized texts and their classes; the first axis of both counts texts.

    Attributes:
        token: Words of each text, `(batch, time)`, integers from 0, which is padding.
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
"""Special tokens of `Pairs`: padding, start and end of a target, and letters or words
that are not in the vocabulary."""


class Pairs(NamedTuple):
    """Tokenized source and target texts, such as translations.

    A source consists of its letters or words alone. A target ends in `END` and does not
    begin with `START`, which the learner prepends. Both are padded at the end. A
    source may occur in several pairs, each with a correct target.

    Attributes:
        source: Texts to transform, `(batch, source_time)`, integers from 0.
        target: Texts that they become, `(batch, time)`, integers from 0.

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
    """Pieces of music, frame by frame; the first axis of each array counts pieces.

    Attributes:
        inputs: Keys that sound in each frame, `(batch, time, keys)`: 1 if so, else 0.
        targets: Frame that follows each of them, in the same form.
        weights: Whether there is a next frame, `(batch, time)`; False for padding.

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
    """Examples grouped by the shape of their arrays, such as sequences by length.

    Each part is a pytree of arrays with a common first axis, like all other data. A
    batch comes from a single part, so one program is compiled for each part.

    Attributes:
        parts: The parts, all with the same pytree structure.

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
    """Convert a seed to a random key; return a key unchanged.

    A seed means `jax.random.key(seed)` everywhere, also as `--seed` of a command.
    Legacy keys, as created by `jax.random.PRNGKey`, are accepted too.

    Args:
        seed: A key, or an integer from 0 to 2**32 - 1.
        name: Name of the caller's argument.

    Raises:
        ValueError: If `seed` is neither, or holds several.

    Example:
        >>> bool(as_key(3) == jax.random.key(3))
        True
    """
    key = as_keys(seed, name)
    if key.ndim:
        raise ValueError(f"{name} has shape {key.shape}: pass one key or seed.")
    return key


def as_keys(seeds: Any, name: str = "keys") -> Shaped[jax.Array, "..."]:
    """Convert seeds to random keys of the same shape; see `as_key`.

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
            "random key, such as jax.random.key(0)."
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
    raise ValueError(f"{name} is empty: pass at least one key or seed.")


def with_rows(x: Any, count: Any) -> jax.ShapeDtypeStruct:
    """Return the shape that an array has with `count` rows, and its dtype in JAX.

    Args:
        x: The array, or its shape.
        count: The number, which may be symbolic.

    Example:
        >>> with_rows(np.zeros((5, 3)), 2)
        ShapeDtypeStruct(shape=(2, 3), dtype=float32)
    """
    dtype = jax.dtypes.canonicalize_dtype(x.dtype, allow_extended_dtype=True)
    return jax.ShapeDtypeStruct((count, *np.shape(x)[1:]), dtype)


def is_matched(path: str, patterns: Iterable[str]) -> bool:
    """Return whether a path in a tree, or one of its parents, matches a pattern.

    Example:
        >>> [is_matched("conv1/kernel", [one]) for one in ("conv1", "*/kernel", "conv")]
        [True, True, False]
    """
    parts = path.split("/")
    wholes = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    return any(fnmatchcase(one, pattern) for one in wholes for pattern in patterns)


def unit_scale(x: Array) -> Array:
    """Scale 8-bit pixels to float32 in [0, 1]; return every other type unchanged.

    Example:
        >>> unit_scale(np.array([0, 255], np.uint8))
        Array([0., 1.], dtype=float32)
        >>> unit_scale(np.array([0.5], np.float32))
        array([0.5], dtype=float32)
    """
    return jnp.asarray(x, jnp.float32) / 255 if x.dtype == jnp.uint8 else x

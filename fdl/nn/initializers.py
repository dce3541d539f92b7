"""Initial distributions of weights: Keras' initializers, under Keras' names.

Layers accept a name, such as `kernel_init="he_normal"`, one of the classes here with
its options, or any initializer of Linen: a function `(key, shape, dtype) -> weights`.

Example:
    >>> import jax
    >>> from fdl import nn
    >>> x = jnp.ones((2, 5))
    >>> layer = nn.Dense(3, kernel_init="he_normal", bias_init=Constant(0.1))
    >>> layer.init(jax.random.key(0), x)["params"]["bias"]
    Array([0.1, 0.1, 0.1], dtype=float32)
"""

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp

from fdl.arrays import Array, Key
from fdl.plain import unknown
from fdl.ranges import require_number

Draw = Callable[..., Array]
"""A function `(key, shape, dtype) -> weights`, like Linen's initializers."""

Initializer = str | Draw
"""The name of an initializer, or a function."""


@dataclasses.dataclass(frozen=True)
class Zeros:
    """All zeros."""

    def __call__(
        self, key: Key, shape: Sequence[int], dtype: Any = jnp.float32
    ) -> Array:
        """Return weights."""
        return jnp.zeros(shape, dtype)


@dataclasses.dataclass(frozen=True)
class Ones:
    """All ones."""

    def __call__(
        self, key: Key, shape: Sequence[int], dtype: Any = jnp.float32
    ) -> Array:
        """Return weights."""
        return jnp.ones(shape, dtype)


@dataclasses.dataclass(frozen=True)
class Constant:
    """The same value everywhere."""

    value: float = 0.0

    def __call__(
        self, key: Key, shape: Sequence[int], dtype: Any = jnp.float32
    ) -> Array:
        """Return weights."""
        return jnp.full(shape, self.value, dtype)


@dataclasses.dataclass(frozen=True)
class Identity:
    """The identity matrix, times `gain`."""

    gain: float = 1.0

    def __call__(
        self, key: Key, shape: Sequence[int], dtype: Any = jnp.float32
    ) -> Array:
        """Return a matrix."""
        return self.gain * jnp.eye(*shape, dtype=dtype)


@dataclasses.dataclass(frozen=True)
class Orthogonal:
    """Orthonormal rows or columns, whichever are fewer, times `gain`.

    Saxe et al. (2014, arXiv:1312.6120). All axes except the last count as rows.
    """

    gain: float = 1.0

    def __call__(
        self, key: Key, shape: Sequence[int], dtype: Any = jnp.float32
    ) -> Array:
        """Return weights."""
        return jax.nn.initializers.orthogonal(self.gain)(key, shape, dtype)


@dataclasses.dataclass(frozen=True)
class RandomNormal:
    """Normally distributed values."""

    mean: float = 0.0
    stddev: float = 0.05

    def __call__(
        self, key: Key, shape: Sequence[int], dtype: Any = jnp.float32
    ) -> Array:
        """Return weights."""
        return self.mean + self.stddev * jax.random.normal(key, shape, dtype)


@dataclasses.dataclass(frozen=True)
class TruncatedNormal:
    """Normally distributed values, redrawn beyond two `stddev` from the mean.

    The resulting standard deviation is 0.88 `stddev`.
    """

    mean: float = 0.0
    stddev: float = 0.05

    def __call__(
        self, key: Key, shape: Sequence[int], dtype: Any = jnp.float32
    ) -> Array:
        """Return weights."""
        unit = jax.random.truncated_normal(key, -2, 2, shape, dtype)
        return self.mean + self.stddev * unit


@dataclasses.dataclass(frozen=True)
class RandomUniform:
    """Uniformly distributed values in [minval, maxval)."""

    minval: float = -0.05
    maxval: float = 0.05

    def __call__(
        self, key: Key, shape: Sequence[int], dtype: Any = jnp.float32
    ) -> Array:
        """Return weights."""
        return jax.random.uniform(key, shape, dtype, self.minval, self.maxval)


@dataclasses.dataclass(frozen=True)
class VarianceScaling:
    """Values with mean 0 and variance `scale / fan`.

    The fan-in of a kernel is the number of inputs that an output sees; its fan-out is
    the number of outputs that an input reaches.

    Attributes:
        scale: Numerator of the variance, above 0.
        mode: The fan to use: `"fan_in"`, `"fan_out"`, or their mean, `"fan_avg"`.
        distribution: `"uniform"`, `"truncated_normal"`, which is redrawn beyond two
            standard deviations and rescaled to the same variance, or
            `"untruncated_normal"`.
        input_axes: Axes whose product is the fan-in. Without these or `output_axes`, it
            is the product of all axes except the last.
        output_axes: Axes whose product is the fan-out. Without these or `input_axes`,
            it is the product of all axes except the second to last.

    Raises:
        ValueError: If `scale` is out of range, or another attribute is unknown.

    Example:
        >>> kernel = HeNormal()(jax.random.key(0), (3, 3, 64, 64))
        >>> round(float(kernel.std() ** 2 * 3 * 3 * 64), 1)
        2.0
    """

    scale: float = 1.0
    mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_in"
    distribution: Literal["uniform", "truncated_normal", "untruncated_normal"] = (
        "truncated_normal"
    )
    input_axes: tuple[int, ...] | None = None
    output_axes: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Check the attributes."""
        require_number("(0, inf)", scale=self.scale)
        for name, known in (("mode", MODES), ("distribution", DISTRIBUTIONS)):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"{name}={value!r} must be one of {', '.join(known)}.")

    def __call__(
        self,
        key: Key,
        shape: Sequence[int],
        dtype: Any = jnp.float32,
        fans: tuple[int, int] | None = None,
    ) -> Array:
        """Return weights; `fans` overrides the fan-in and fan-out of the shape."""
        if self.input_axes is not None and self.output_axes is not None:
            count = lambda axes: math.prod(shape[axis] for axis in axes)
            fans = count(self.input_axes), count(self.output_axes)
        fan_in, fan_out = fans or fans_of(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
        # In the same order as in Linen, for bitwise equal results.
        variance = jnp.array(self.scale / max(1.0, fan[self.mode]), dtype)
        if self.distribution == "uniform":
            unit = jax.random.uniform(key, shape, dtype, -1)
            return unit * jnp.sqrt(3 * variance)
        if self.distribution == "untruncated_normal":
            return jax.random.normal(key, shape, dtype) * jnp.sqrt(variance)
        # The standard deviation of a standard normal variable truncated at 2.
        stddev = jnp.sqrt(variance) / jnp.array(0.87962566103423978, dtype)
        return jax.random.truncated_normal(key, -2, 2, shape, dtype) * stddev


MODES = ("fan_in", "fan_out", "fan_avg")
DISTRIBUTIONS = ("uniform", "truncated_normal", "untruncated_normal")

GlorotUniform = functools.partial(VarianceScaling, 1.0, "fan_avg", "uniform")
"""Uniform values (Glorot & Bengio, 2010, AISTATS), the default of most kernels."""
GlorotNormal = functools.partial(VarianceScaling, 1.0, "fan_avg", "truncated_normal")
"""Truncated normal values (Glorot & Bengio, 2010, AISTATS)."""
HeUniform = functools.partial(VarianceScaling, 2.0, "fan_in", "uniform")
"""Uniform values, for ReLU (He et al., 2015, arXiv:1502.01852)."""
HeNormal = functools.partial(VarianceScaling, 2.0, "fan_in", "truncated_normal")
"""Truncated normal values, for ReLU (He et al., 2015, arXiv:1502.01852)."""
LecunUniform = functools.partial(VarianceScaling, 1.0, "fan_in", "uniform")
"""Uniform values (LeCun et al., 1998, Efficient BackProp)."""
LecunNormal = functools.partial(VarianceScaling, 1.0, "fan_in", "truncated_normal")
"""Truncated normal values (LeCun et al., 1998), for SELU (Klambauer et al., 2017)."""

CLASSES: dict[str, Callable[..., Draw]] = {
    "GlorotUniform": GlorotUniform,
    "GlorotNormal": GlorotNormal,
    "HeUniform": HeUniform,
    "HeNormal": HeNormal,
    "LecunUniform": LecunUniform,
    "LecunNormal": LecunNormal,
    "Zeros": Zeros,
    "Ones": Ones,
    "Constant": Constant,
    "Identity": Identity,
    "Orthogonal": Orthogonal,
    "RandomNormal": RandomNormal,
    "TruncatedNormal": TruncatedNormal,
    "RandomUniform": RandomUniform,
    "VarianceScaling": VarianceScaling,
}
"""The initializers, by Keras' names."""

_NAMES = {re.sub("(?<=.)(?=[A-Z])", "_", name).lower(): name for name in CLASSES}


def get(initializer: Initializer) -> Draw:
    """Return the function of an initializer.

    Args:
        initializer: A name in Keras, `"he_normal"` or `"HeNormal"`, or a function,
            which is returned unchanged.

    Raises:
        ValueError: If the name is unknown.

    Example:
        >>> get("he_normal") == HeNormal()
        True
        >>> get("he_norm")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: there is no initializer 'he_norm'; did you mean 'he_normal'? ...
    """
    if not isinstance(initializer, str):
        return initializer
    name = _NAMES.get(initializer, initializer)
    if name not in CLASSES:
        raise ValueError(unknown("initializer", initializer, tuple(_NAMES)))
    return CLASSES[name]()


def forget_less(others: Draw) -> Draw:
    """Return an initializer of an LSTM's bias: ones for forget gates, `others` else.

    With ones, a cell keeps its memory at first (Gers et al., 2000).
    """

    def draw(key: Key, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
        units = shape[0] // 4
        other = others(key, (3 * units,), dtype)
        one = jnp.ones((units,), dtype)
        return jnp.concatenate([other[:units], one, other[units:]])

    return draw


def fans_of(shape: Sequence[int]) -> tuple[int, int]:
    """Return fan-in and fan-out of a kernel.

    Example:
        >>> fans_of((3, 3, 8, 16))
        (72, 144)
    """
    if not shape:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field

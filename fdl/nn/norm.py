"""Normalization with Keras' epsilon and two-pass variance; most of it is Linen's."""

import functools
from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import canonicalize_dtype
from flax.typing import Dtype
from jaxtyping import Float

from fdl.arrays import Array
from fdl.nn import initializers
from fdl.nn.initializers import Initializer
from fdl.ops.group import group_norm
from fdl.ranges import require_number, require_whole


class BatchNormalization(nn.BatchNorm):
    """Batch normalization (Ioffe & Szegedy, 2015, arXiv:1502.03167), as in Keras.

    Normalizes each channel to mean 0 and variance 1, by the statistics of the batch in
    training and otherwise by the running statistics in `batch_stats`, then applies a
    learned scale and bias.

    Attributes:
        momentum: Fraction of the running statistics kept in each step, in [0, 1].
        epsilon: Number added to the variance, at least 0; 1e-5 in Linen.
        scale_init: Initializer of the scale; see `fdl.nn.initializers`.
        bias_init: Initializer of the bias.

    Example:
        >>> import jax
        >>> layer = BatchNormalization()
        >>> x = jax.random.normal(jax.random.key(0), (64, 8, 8, 3))
        >>> variables = layer.init(jax.random.key(0), x)
        >>> y, updated = layer.apply(variables, x, train=True, mutable=["batch_stats"])
        >>> bool(abs(y.mean()) < 1e-5)
        True
    """

    momentum: float = 0.99
    epsilon: float = 1e-3
    use_fast_variance: bool = False
    scale_init: Initializer = "ones"
    bias_init: Initializer = "zeros"

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_number("[0, 1]", momentum=self.momentum)
        require_number("[0, inf)", epsilon=self.epsilon)
        self.scale_init = initializers.get(self.scale_init)
        self.bias_init = initializers.get(self.bias_init)
        super().__post_init__()

    # `train` is the only training flag, as everywhere in fdl.
    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: Float[Array, "*batch channels"], *, train: bool = False
    ) -> Float[Array, "*batch channels"]:
        """Normalize; with `train`, by batch statistics, updating the running ones."""
        return super().__call__(x, use_running_average=not train)


class LayerNormalization(nn.LayerNorm):
    """Layer normalization (Ba et al., 2016, arXiv:1607.06450), as in Keras.

    Normalizes each position to mean 0 and variance 1 over its channels, then applies a
    learned scale and bias for each channel.

    Attributes:
        epsilon: Number added to the variance, at least 0; 1e-6 in Linen.
        scale_init: Initializer of the scale; see `fdl.nn.initializers`.
        bias_init: Initializer of the bias.

    Example:
        >>> import jax
        >>> layer = LayerNormalization()
        >>> x = jax.random.normal(jax.random.key(0), (2, 5, 16))
        >>> variables = layer.init(jax.random.key(0), x)
        >>> bool(abs(layer.apply(variables, x).mean(axis=-1)).max() < 1e-5)
        True
    """

    epsilon: float = 1e-3
    use_fast_variance: bool = False
    scale_init: Initializer = "ones"
    bias_init: Initializer = "zeros"

    def __post_init__(self) -> None:
        """Check the number."""
        require_number("[0, inf)", epsilon=self.epsilon)
        self.scale_init = initializers.get(self.scale_init)
        self.bias_init = initializers.get(self.bias_init)
        super().__post_init__()


class GroupNormalization(nn.Module):
    """Group normalization of images (Wu & He, 2018, arXiv:1803.08494), as in Keras.

    Splits the channels into groups, normalizes each group of an image to mean 0 and
    variance 1 over its pixels and channels, then applies a learned scale and bias for
    each channel. Means and variances have at least single precision.

    Attributes:
        num_groups: Number of groups; must divide the number of channels. None for one
            group for each channel, which is instance normalization.
        epsilon: Number added to the variance, at least 0; 1e-6 in Linen.
        reduction_axes: The axes of one example: by default three, for images; use
            `(-2, -1)` for sequences, `(-4, -3, -2, -1)` for volumes. None for all axes
            except the first, as in Keras.
        dtype: Data type of the result; by default that of inputs and parameters.
        param_dtype: Data type of the parameters.
        use_scale: Whether to apply a scale.
        use_bias: Whether to add a bias.
        scale_init: Initializer of the scale; see `fdl.nn.initializers`.
        bias_init: Initializer of the bias.

    Raises:
        ValueError: If the groups do not divide the channels, or the input lacks an axis
            in `reduction_axes`.

    Example:
        >>> import jax
        >>> layer = GroupNormalization(num_groups=4)
        >>> x = jax.random.normal(jax.random.key(0), (2, 8, 8, 16))
        >>> variables = layer.init(jax.random.key(0), x)
        >>> bool(abs(layer.apply(variables, x).mean(axis=(1, 2))).max() < 1)
        True
    """

    num_groups: int | None = 32
    epsilon: float = 1e-3
    reduction_axes: Sequence[int] | None = (-3, -2, -1)
    dtype: Dtype | None = None
    param_dtype: Dtype = jnp.float32
    use_scale: bool = True
    use_bias: bool = True
    scale_init: Initializer = "ones"
    bias_init: Initializer = "zeros"

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_whole("[1, inf) or None", num_groups=self.num_groups)
        require_number("[0, inf)", epsilon=self.epsilon)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch channels"]
    ) -> Float[Array, "*batch channels"]:
        """Normalize each group of an example."""
        channels, last = x.shape[-1], x.ndim - 1
        axes = range(1, x.ndim) if self.reduction_axes is None else self.reduction_axes
        if not all(-x.ndim <= axis <= last for axis in axes):
            raise ValueError(
                f"reduction_axes={self.reduction_axes} do not fit an input of shape "
                f"{x.shape}: choose those of one example, such as (-2, -1)."
            )
        axes = {axis % x.ndim for axis in axes}
        if last not in axes:
            raise ValueError(
                f"reduction_axes={self.reduction_axes} must include -1, the axis of "
                "the channels."
            )
        weight = lambda name, init: self.param(
            name, initializers.get(init), (channels,), self.param_dtype
        )
        scale = weight("scale", self.scale_init) if self.use_scale else None
        bias = weight("bias", self.bias_init) if self.use_bias else None
        dtype = canonicalize_dtype(x, scale, bias, dtype=self.dtype)
        groups = self.num_groups or channels
        wide = x.astype(jnp.promote_types(dtype, jnp.float32))
        y = group_norm(wide, groups, axes=sorted(axes - {last}), epsilon=self.epsilon)
        spread = lambda w: jnp.broadcast_to(w.astype(y.dtype), y.shape)
        if scale is not None:
            y = y * spread(scale)
        if bias is not None:
            y = y + spread(bias)
        return y.astype(dtype)


InstanceNormalization = functools.partial(GroupNormalization, num_groups=None)
"""Instance normalization (Ulyanov et al., 2016, arXiv:1607.08022): every channel of an
image is its own group, like Keras' `GroupNormalization(groups=-1)`."""

"""Normalization of groups of channels."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from fdl.arrays import Array
from fdl.ranges import require_number


def group_norm(
    x: Float[Array, "*batch channels"],
    num_groups: int,
    *,
    axes: Sequence[int] = (-3, -2),
    epsilon: float = 1e-3,
) -> Float[Array, "*batch channels"]:
    """Normalize groups of channels (Wu & He, 2018, arXiv:1803.08494).

    Each group gets mean 0 and variance 1, over its channels and the other axes of an
    example. One group for each channel is instance normalization.

    Args:
        x: Activations, channels last; any number of leading axes.
        num_groups: Number of groups; must divide the number of channels.
        axes: The other axes of an example, such as those of its pixels.
        epsilon: Number added to the variance, at least 0.

    Raises:
        ValueError: If the groups do not divide the channels.

    Example:
        >>> x = jnp.arange(16.0).reshape(1, 2, 2, 4)
        >>> y = group_norm(x, 2, epsilon=0.0)
        >>> [round(float(y[..., :2].mean()), 4), round(float(y[..., :2].var()), 4)]
        [0.0, 1.0]
    """
    require_number("[0, inf)", epsilon=epsilon)
    channels = x.shape[-1]
    if num_groups < 1 or channels % num_groups:
        raise ValueError(
            f"num_groups={num_groups} does not divide the number of channels, "
            f"{channels}."
        )
    size = channels // num_groups

    def mean(y: Array) -> Array:
        # Of each channel first, as they lie in memory: XLA sums over a group at once
        # in two to four times as long on a CPU.
        each = jnp.mean(y, tuple(axes), keepdims=True)
        of_group = jnp.mean(each.reshape(*each.shape[:-1], num_groups, size), axis=-1)
        return jnp.repeat(of_group, size, axis=-1)

    far = x - mean(x)
    return far * lax.rsqrt(mean(jnp.square(far)) + epsilon)

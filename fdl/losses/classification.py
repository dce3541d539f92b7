"""Losses of classifiers."""

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from fdl.arrays import Array


def cross_entropy(
    logits: Float[Array, "*batch classes"], label: Int[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Return `-log softmax(logits)[label]`, in nats, of each example.

    Keras' `SparseCategoricalCrossentropy(from_logits=True)`, before its mean. A label
    that names no class gives NaN, so that training on it stops instead of going wrong.

    Example:
        >>> cross_entropy(jnp.zeros((1, 10)), jnp.array([3]))
        Array([2.3025851], dtype=float32)
    """
    classes = logits.shape[-1]
    # A mask and a sum rather than a gather, whose gradient would be a scatter.
    picked = jax.nn.one_hot(label, classes, dtype=bool)
    losses = -jnp.sum(jax.nn.log_softmax(logits), axis=-1, where=picked)
    return jnp.where((label >= 0) & (label < classes), losses, jnp.nan)

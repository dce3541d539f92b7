"""Losses of classifiers."""

import jax
import jax.numpy as jnp
from jaxtyping import Float, Int

from fdl.arrays import Array, Number, is_concrete, is_on


def cross_entropy(
    logits: Float[Array, "*batch classes"],
    label: Int[Array, "*batch"],
    *,
    label_smoothing: Number = 0.0,
) -> Float[Array, "*batch"]:
    """Return `-log softmax(logits)[label]`, in nats, of each example.

    Keras' `SparseCategoricalCrossentropy(from_logits=True)`, before its mean. A label
    that names no class gives NaN, so that training on it stops instead of going wrong.

    Args:
        logits: Scores of the classes.
        label: The right class of each example.
        label_smoothing: Share, in [0, 1], of the probability that is spread over all
            classes instead (Szegedy et al., 2016, arXiv:1512.00567), as in Keras'
            `CategoricalCrossentropy`.

    Raises:
        ValueError: If `label_smoothing` is no such share.

    Example:
        >>> cross_entropy(jnp.zeros((1, 10)), jnp.array([3]))
        Array([2.3025851], dtype=float32)
    """
    if is_concrete(label_smoothing) and not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing={label_smoothing} must be in [0, 1].")
    classes = logits.shape[-1]
    # A mask and a sum rather than a gather, whose gradient would be a scatter.
    picked = jax.nn.one_hot(label, classes, dtype=bool)
    scores = jax.nn.log_softmax(logits)
    losses = -jnp.sum(scores, axis=-1, where=picked)
    if is_on(label_smoothing):
        spread = -jnp.mean(scores, axis=-1)
        losses = losses + label_smoothing * (spread - losses)
    return jnp.where((label >= 0) & (label < classes), losses, jnp.nan)

"""Losses of embeddings that compare the examples of a batch with each other."""

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int, Shaped

from fdl.arguments import require_classes
from fdl.arrays import Array, Number
from fdl.ranges import require_number


def circle(
    outputs: Float[Array, "batch size"],
    targets: Shaped[Array, "*targets"],
    *,
    ref_labels: Int[Array, " references"] | None = None,
    ref_embeddings: Float[Array, "references size"] | None = None,
    remove_diagonal: bool = True,
    gamma: Number = 80.0,
    margin: Number = 0.4,
) -> Float[Array, " batch"]:
    """Return the Circle loss of each embedding (Sun et al., 2020, arXiv:2002.10857).

    Embeddings of the same class should be close to each other, and far from those of
    other classes. Keras' function of this name. An embedding without another of its
    class, or without one of another class, in the batch has a loss of 0.

    Args:
        outputs: Embeddings of length 1.
        targets: The class of each embedding, an integer.
        ref_labels: Classes of `ref_embeddings`.
        ref_embeddings: Embeddings to compare with; None for `outputs` themselves.
        remove_diagonal: Whether to leave out the comparison of embedding i with
            reference i.
        gamma: Factor of the scores, above 0.
        margin: Margin between embeddings of the same class and of others, in [0, 1].

    Raises:
        ValueError: If targets are not one integer for each embedding, an option is out
            of range, or only one of `ref_labels` and `ref_embeddings` is given.

    Example:
        >>> embeddings = jnp.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> losses = circle(embeddings, jnp.array([0, 0, 1]), gamma=1.0)
        >>> [round(float(loss), 2) for loss in losses]
        [0.56, 0.73, 0.0]
    """
    require_number("(0, inf)", gamma=gamma)
    require_number("[0, 1]", margin=margin)
    if (ref_labels is None) != (ref_embeddings is None):
        raise ValueError("ref_labels and ref_embeddings must be passed together.")
    outputs, targets = jnp.asarray(outputs), jnp.asarray(targets)
    require_classes(outputs, targets)
    if ref_labels is None or ref_embeddings is None:
        ref_labels, ref_embeddings = targets, outputs
    distance = jnp.maximum(1 - outputs @ ref_embeddings.T, 0)
    alike = targets[:, None] == ref_labels[None]
    other = ~alike
    if remove_diagonal:
        alike &= ~jnp.eye(*alike.shape, dtype=bool)
    pull = gamma * (margin + distance) * (distance - margin)
    push = gamma * jnp.maximum(1 + margin - distance, 0) * (1 - margin - distance)
    has_both = jnp.any(alike, axis=1) & jnp.any(other, axis=1)
    scores = _total(pull, alike, has_both) + _total(push, other, has_both)
    return jnp.where(has_both, jax.nn.softplus(scores), 0)


def _total(
    scores: Float[Array, "batch references"],
    counted: Bool[Array, "batch references"],
    has_both: Bool[Array, " batch"],
) -> Float[Array, " batch"]:
    """Return the log-sum-exp of the counted scores."""
    # Rows with nothing to count are not used, but must not become NaN.
    counted = counted | ~has_both[:, None]
    return jax.nn.logsumexp(scores, axis=1, where=counted)

"""Focal losses, which down-weight easy examples (Lin et al., 2017)."""

import jax
import jax.numpy as jnp
from jaxtyping import Float, Shaped

from fdl.arguments import require_same_shape
from fdl.arrays import Array, Number, is_on
from fdl.losses.binary import of_each_answer, smooth
from fdl.losses.classification import clipped_probabilities
from fdl.losses.common import mean_over_values
from fdl.ranges import require_number

Losses = Float[Array, "*batch"]


def binary_focal_crossentropy(
    outputs: Float[Array, "*outputs"],
    targets: Shaped[Array, "*targets"],
    *,
    apply_class_balancing: bool = False,
    alpha: Number = 0.25,
    gamma: Number = 2.0,
    from_logits: bool = True,
    label_smoothing: Number = 0.0,
) -> Losses:
    """Return `(1 - p)^gamma` times the binary cross entropy (Lin et al., 2017).

    arXiv:1708.02002, equation 4, where `p` is the probability of the right answer.
    Keras' function of this name, the mean over the last axis, but from logits by
    default, where Keras expects probabilities. Outputs `(N,)` give `(N,)`.

    Args:
        outputs: A score for each answer.
        targets: 0 or 1, or a probability in between.
        apply_class_balancing: Whether to weight answers by `alpha` where the target is
            1 and by `1 - alpha` where it is 0.
        alpha: Weight of targets of 1, in [0, 1].
        gamma: Focusing exponent, at least 0; larger values down-weight easy answers
            more.
        from_logits: Whether outputs are logits; otherwise they are probabilities, which
            are clipped to [1e-7, 1 - 1e-7] in the cross entropy.
        label_smoothing: Fraction of each target that is replaced by 1/2, in [0, 1].

    Raises:
        ValueError: If the shapes differ, or an option is out of range.

    Example:
        >>> binary_focal_crossentropy(jnp.zeros((1, 2)), jnp.array([[1, 0]]))
        Array([0.1732868], dtype=float32)
    """
    require_same_shape(outputs, targets)
    require_number("[0, 1]", alpha=alpha)
    require_number("[0, inf)", gamma=gamma)
    outputs = jnp.asarray(outputs)
    y = smooth(jnp.asarray(targets, outputs.dtype), label_smoothing)
    p = jax.nn.sigmoid(outputs) if from_logits else outputs
    losses = of_each_answer(outputs, y, from_logits)
    missing = 1 - (y * p + (1 - y) * (1 - p))
    # For a certain answer, a gamma below 1 would have an infinite slope.
    missing = jnp.maximum(missing, jnp.finfo(p.dtype).tiny)
    losses = missing**gamma * losses
    if apply_class_balancing:
        losses = (y * alpha + (1 - y) * (1 - alpha)) * losses
    return mean_over_values(losses)


def categorical_focal_crossentropy(
    outputs: Float[Array, "*batch classes"],
    targets: Shaped[Array, "*targets"],
    *,
    alpha: Number | Float[Array, "*weights"] = 0.25,
    gamma: Number = 2.0,
    from_logits: bool = True,
    label_smoothing: Number = 0.0,
) -> Losses:
    """Return `alpha (1 - p)^gamma` times the categorical cross entropy.

    Lin et al., 2017, arXiv:1708.02002, for more than two classes. Keras' function of
    this name, but from logits by default, where Keras expects probabilities. As in
    Keras, logits become probabilities that are clipped to [1e-7, 1 - 1e-7]: a less
    probable class has a finite loss and no gradient.

    Args:
        outputs: Scores of the classes.
        targets: The probability of each class, 0 and 1 for one-hot targets.
        alpha: Weight of all classes, or one for each.
        gamma: Focusing exponent, at least 0; larger values down-weight easy examples
            more.
        from_logits: Whether outputs are logits; otherwise they are probabilities, which
            are scaled to sum to 1.
        label_smoothing: Fraction of the probability that is spread over all classes, in
            [0, 1].

    Raises:
        ValueError: If the shapes differ, or an option is out of range.

    Example:
        >>> logits, targets = jnp.zeros((1, 2)), jnp.array([[1, 0]])
        >>> categorical_focal_crossentropy(logits, targets)
        Array([0.0433217], dtype=float32)
    """
    require_same_shape(outputs, targets)
    require_number("[0, 1]", label_smoothing=label_smoothing)
    require_number("[0, inf)", gamma=gamma)
    outputs = jnp.asarray(outputs)
    classes = outputs.shape[-1]
    weight = jnp.asarray(alpha, outputs.dtype)
    if weight.shape not in ((), (classes,)):
        raise ValueError(
            f"alpha has shape {weight.shape}, but must be one number, or one for each "
            f"of the {classes} classes."
        )
    y = jnp.asarray(targets, outputs.dtype)
    if is_on(label_smoothing):
        y = y * (1 - label_smoothing) + label_smoothing / classes
    p = clipped_probabilities(jax.nn.softmax(outputs) if from_logits else outputs)
    weight = jnp.broadcast_to(weight, p.shape) * (1 - p) ** gamma
    return -jnp.sum(weight * y * jnp.log(p), axis=-1)

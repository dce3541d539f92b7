"""Binary cross entropy, for two classes or for several independent labels."""

import jax
import jax.numpy as jnp
from jaxtyping import Float, Shaped

from fdl.arguments import require_same_shape
from fdl.arrays import Array, Number, is_on
from fdl.losses.common import EPSILON, clip, mean_over_values
from fdl.ranges import require_number

Outputs = Float[Array, "*outputs"]
Targets = Shaped[Array, "*targets"]
Losses = Float[Array, "*batch"]


def binary_crossentropy(
    outputs: Outputs,
    targets: Targets,
    *,
    from_logits: bool = True,
    label_smoothing: Number = 0.0,
) -> Losses:
    """Return the cross entropy of independent yes-or-no answers, in nats.

    Keras' function of this name, the mean over the last axis, but from logits by
    default, where Keras expects probabilities. Outputs `(N,)` are N examples of one
    answer each, and give `(N,)`; Keras would average them.

    Args:
        outputs: A score for each answer.
        targets: 0 or 1, or a probability in between.
        from_logits: Whether outputs are logits; otherwise they are probabilities, which
            are clipped to [1e-7, 1 - 1e-7].
        label_smoothing: Fraction of each target that is replaced by 1/2, in [0, 1].

    Raises:
        ValueError: If the shapes differ, or `label_smoothing` is out of range.

    Example:
        >>> binary_crossentropy(jnp.zeros((1, 3)), jnp.array([[1, 0, 1]]))
        Array([0.6931472], dtype=float32)
        >>> binary_crossentropy(jnp.zeros(2), jnp.array([1, 0]))
        Array([0.6931472, 0.6931472], dtype=float32)
    """
    require_same_shape(outputs, targets)
    outputs = jnp.asarray(outputs)
    targets = smooth(jnp.asarray(targets, outputs.dtype), label_smoothing)
    return mean_over_values(of_each_answer(outputs, targets, from_logits))


def smooth(targets: Outputs, label_smoothing: Number) -> Outputs:
    """Replace a fraction of each target by 1/2, as Keras does.

    Example:
        >>> smooth(jnp.array([0.0, 1.0]), 0.5)
        Array([0.25, 0.75], dtype=float32)
    """
    require_number("[0, 1]", label_smoothing=label_smoothing)
    if not is_on(label_smoothing):
        return targets
    return targets * (1 - label_smoothing) + 0.5 * label_smoothing


def of_each_answer(outputs: Outputs, targets: Outputs, from_logits: bool) -> Outputs:
    """Return the cross entropy of each answer, before any mean.

    Example:
        >>> of_each_answer(jnp.array([0.0]), jnp.array([1.0]), from_logits=True)
        Array([0.6931472], dtype=float32)
    """
    if from_logits:
        # -log sigma(a) = softplus(-a), and -log(1 - sigma(a)) = softplus(a).
        yes, no = jax.nn.softplus(-outputs), jax.nn.softplus(outputs)
    else:
        p = clip(outputs, EPSILON, 1 - EPSILON)
        yes, no = -jnp.log(p), -jnp.log(1 - p)
    return targets * yes + (1 - targets) * no

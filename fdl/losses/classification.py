"""Cross entropy of mutually exclusive classes.

Scores have the classes along the last axis. Keras' functions of the same names take the
targets first and expect probabilities; here, outputs come first, as everywhere in fdl,
and are logits unless `from_logits=False`.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float, Shaped

from fdl.arguments import require_classes, require_same_shape
from fdl.arrays import Array, Number, is_on
from fdl.losses.common import EPSILON, clip
from fdl.ranges import require_number

Outputs = Float[Array, "*batch classes"]
Targets = Shaped[Array, "*targets"]
Losses = Float[Array, "*batch"]


def cross_entropy(
    logits: Outputs,
    label: Targets,
    *,
    label_smoothing: Number = 0.0,
    except_class: int | None = None,
) -> Losses:
    """Return `-log softmax(logits)[label]`, in nats, for each example.

    For integer labels this is Keras' `SparseCategoricalCrossentropy(from_logits=True)`
    before its mean, and for probabilities its `CategoricalCrossentropy`. A label that
    is not a class gives NaN, so that training stops instead of going wrong silently.

    Args:
        logits: Scores of the classes.
        label: Integers `*batch`, the class of each example; or floating-point numbers
            `*batch classes`, the probability of each class, such as those of mixup.
        label_smoothing: Fraction of the probability that is spread over all classes, in
            [0, 1] (Szegedy et al., 2016, arXiv:1512.00567), as in Keras.
        except_class: Class that gets no part of this fraction, such as padding, which
            must never be predicted; None for Keras' behavior.

    Raises:
        ValueError: If the shapes do not agree, `label_smoothing` is out of range, or
            there is no class `except_class`.

    Example:
        >>> cross_entropy(jnp.zeros((1, 10)), jnp.array([3]))
        Array([2.3025851], dtype=float32)
        >>> cross_entropy(jnp.zeros((1, 2)), jnp.array([[0.25, 0.75]]))
        Array([0.6931472], dtype=float32)
    """
    require_number("[0, 1]", label_smoothing=label_smoothing)
    logits = jnp.asarray(logits)
    if jnp.issubdtype(label.dtype, jnp.integer) or label.ndim != logits.ndim:
        require_classes(logits, label, "label")
    else:
        require_same_shape(logits, label)
    classes = logits.shape[-1]
    if except_class is not None and not 0 <= except_class < classes:
        raise ValueError(
            f"except_class={except_class} must be one of the {classes} classes, from 0 "
            f"to {classes - 1}."
        )
    scores = jax.nn.log_softmax(logits)
    return _smoothed(scores, label, label_smoothing, except_class)


def sparse_categorical_crossentropy(
    outputs: Outputs,
    targets: Targets,
    *,
    from_logits: bool = True,
    ignore_class: int | None = None,
) -> Losses:
    """Return the negative log-probability of each example's class, in nats.

    Keras' function of this name, but from logits by default, where Keras expects
    probabilities. A target that is not a class gives NaN.

    Args:
        outputs: Scores of the classes.
        targets: The class of each example, an integer.
        from_logits: Whether outputs are logits; otherwise they are probabilities, which
            are scaled to sum to 1 and clipped to [1e-7, 1 - 1e-7].
        ignore_class: Target whose loss is 0, such as padding. It still counts in a mean
            over examples; give it a weight of 0 to leave it out.

    Raises:
        ValueError: If targets are not one integer for each vector of outputs.

    Example:
        >>> label = jnp.array([0, -1])
        >>> sparse_categorical_crossentropy(jnp.zeros((2, 10)), label, ignore_class=-1)
        Array([2.3025851, 0.       ], dtype=float32)
    """
    outputs = jnp.asarray(outputs)
    require_classes(outputs, targets)
    if ignore_class is None:
        return _smoothed(_log_probabilities(outputs, from_logits), targets, 0.0)
    ignored = targets == ignore_class
    # Constant scores in place of the outputs, so that not even NaN affects gradients.
    outputs = jnp.where(ignored[..., None], 1, outputs)
    losses = _smoothed(_log_probabilities(outputs, from_logits), targets, 0.0)
    return jnp.where(ignored, 0, losses)


def categorical_crossentropy(
    outputs: Outputs,
    targets: Targets,
    *,
    from_logits: bool = True,
    label_smoothing: Number = 0.0,
) -> Losses:
    """Return the cross entropy of one-hot targets or probabilities, in nats.

    Keras' function of this name, but from logits by default, where Keras expects
    probabilities.

    Args:
        outputs: Scores of the classes.
        targets: The probability of each class, 0 and 1 for one-hot targets.
        from_logits: Whether outputs are logits; otherwise they are probabilities, which
            are scaled to sum to 1 and clipped to [1e-7, 1 - 1e-7].
        label_smoothing: As in `cross_entropy`.

    Raises:
        ValueError: If the shapes differ, or `label_smoothing` is out of range.

    Example:
        >>> categorical_crossentropy(jnp.zeros((1, 10)), jax.nn.one_hot([3], 10))
        Array([2.3025851], dtype=float32)
    """
    require_number("[0, 1]", label_smoothing=label_smoothing)
    outputs = jnp.asarray(outputs)
    require_same_shape(outputs, targets)
    targets = jnp.asarray(targets, outputs.dtype)
    return _smoothed(_log_probabilities(outputs, from_logits), targets, label_smoothing)


def categorical_generalized_cross_entropy(
    outputs: Outputs, targets: Targets, *, q: Number = 0.5
) -> Losses:
    """Return `(1 - p^q) / q`, where `p` is the probability of each example's class.

    A loss that is less sensitive to wrong labels than cross entropy (Zhang & Sabuncu,
    2018, arXiv:1805.07836), Keras' function of this name. A target that is not a class
    gives NaN.

    Args:
        outputs: Probabilities of the classes, not logits.
        targets: The class of each example, an integer.
        q: Exponent in (0, 1]: cross entropy near 0, mean absolute error at 1.

    Raises:
        ValueError: If targets are not one integer for each vector of outputs, or `q` is
            out of range.

    Example:
        >>> p = jnp.array([[0.25, 0.75], [1.0, 0.0]])
        >>> categorical_generalized_cross_entropy(p, jnp.array([0, 0]))
        Array([1., 0.], dtype=float32)
    """
    require_number("(0, 1]", q=q)
    outputs = jnp.asarray(outputs)
    require_classes(outputs, targets)
    classes = outputs.shape[-1]
    own = jax.nn.one_hot(targets, classes, dtype=bool)
    # At a probability of 0, the slope would be infinite.
    p = jnp.maximum(jnp.sum(outputs, -1, where=own), jnp.finfo(outputs.dtype).tiny)
    is_class = (targets >= 0) & (targets < classes)
    return jnp.where(is_class, (1 - p**q) / q, jnp.nan)


def _log_probabilities(outputs: Outputs, from_logits: bool) -> Outputs:
    if from_logits:
        return jax.nn.log_softmax(outputs)
    return jnp.log(clipped_probabilities(outputs))


def clipped_probabilities(outputs: Outputs) -> Outputs:
    """Scale probabilities to sum to 1, then clip them away from 0 and 1.

    Example:
        >>> clipped_probabilities(jnp.array([1.0, 3.0]))
        Array([0.25, 0.75], dtype=float32)
    """
    probabilities = outputs / jnp.sum(outputs, axis=-1, keepdims=True)
    return clip(probabilities, EPSILON, 1 - EPSILON)


def _smoothed(
    scores: Outputs,
    targets: Targets,
    label_smoothing: Number,
    except_class: int | None = None,
) -> Losses:
    """Return the cross entropy with log probabilities `scores`."""
    classes = scores.shape[-1]
    by_class = jnp.issubdtype(targets.dtype, jnp.integer)
    if by_class:
        # A mask and a sum rather than a gather, whose gradient would be a scatter.
        picked = jax.nn.one_hot(targets, classes, dtype=bool)
        losses = -jnp.sum(scores, axis=-1, where=picked)
    else:
        targets = jnp.asarray(targets, scores.dtype)
        # An impossible class with a target of 0 costs nothing: 0 log 0 = 0.
        impossible = jnp.isneginf(scores) & (targets == 0)
        losses = -jnp.sum(targets * jnp.where(impossible, 0, scores), axis=-1)
    if is_on(label_smoothing):
        given = None if except_class is None else jnp.arange(classes) != except_class
        spread = -jnp.mean(scores, axis=-1, where=given)
        losses = losses + label_smoothing * (spread - losses)
    if by_class:
        losses = jnp.where((targets >= 0) & (targets < classes), losses, jnp.nan)
    return losses

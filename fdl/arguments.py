"""Argument checks shared by losses and metrics.

Shapes and dtypes are known during tracing, so a mismatch is an error at once and never
broadcasts every output against every target.
"""

import jax.numpy as jnp
from jaxtyping import Shaped

from fdl.arrays import Array

Values = Shaped[Array, "..."]


def require_same_shape(outputs: Values, targets: Values) -> None:
    """Raise ValueError unless outputs and targets have the same shape.

    Example:
        >>> require_same_shape(jnp.zeros(8), jnp.zeros((8, 1)))
        Traceback (most recent call last):
        ValueError: outputs (8,) and targets (8, 1) must have the same shape: use \
targets[:, 0].
    """
    one, other = outputs.shape, targets.shape
    if one == other:
        return
    remedy = "look for a missing or misplaced axis"
    if other == (*one, 1):
        remedy = f"use targets[{', '.join([':'] * len(one) + ['0'])}]"
    elif one == (*other, 1):
        remedy = f"use targets[{', '.join([':'] * len(other) + ['None'])}]"
    elif other == one[:-1] and jnp.issubdtype(targets.dtype, jnp.integer):
        remedy = (
            "for integer classes use cross_entropy, or pass one-hot vectors, "
            f"jax.nn.one_hot(targets, {one[-1]})"
        )
    raise ValueError(
        f"outputs {one} and targets {other} must have the same shape: {remedy}."
    )


def require_classes(outputs: Values, label: Values, name: str = "targets") -> None:
    """Raise ValueError unless labels are integers, one for each vector of class scores.

    Args:
        outputs: Scores, with the classes along the last axis.
        label: The labels.
        name: Name of the caller's argument.

    Example:
        >>> require_classes(jnp.zeros((8, 10)), jnp.zeros((8, 1), int), "label")
        Traceback (most recent call last):
        ValueError: label (8, 1) must have shape (8,), one class for each row of the \
outputs (8, 10): use label[..., 0].
    """
    one, other = outputs.shape, label.shape
    if not one:
        raise ValueError("outputs () must have classes along their last axis.")
    if not jnp.issubdtype(label.dtype, jnp.integer):
        remedy = f"use {name}.astype(int)"
        if other == one:
            remedy = f"use {name}.argmax(-1), or categorical_crossentropy"
        raise ValueError(
            f"{name} {other} has dtype {label.dtype}, but classes must be integers: "
            f"{remedy}."
        )
    if other == one[:-1]:
        return
    remedy = "look for a missing or misplaced axis"
    if other == (*one[:-1], 1):
        remedy = f"use {name}[..., 0]"
    elif other == one:
        remedy = (
            f"for one-hot vectors use {name}.argmax(-1), or categorical_crossentropy"
        )
    raise ValueError(
        f"{name} {other} must have shape {one[:-1]}, one class for each row of the "
        f"outputs {one}: {remedy}."
    )

"""Checks of arguments that losses and metrics share.

Shapes and types are known before anything is computed, so a mistake is an error at
once and never a table of every output against every target.
"""

import jax.numpy as jnp
from jaxtyping import Shaped

from fdl.arrays import Array

Values = Shaped[Array, "..."]


def require_same_shape(outputs: Values, targets: Values) -> None:
    """Refuse targets whose shape is not that of the outputs.

    Example:
        >>> require_same_shape(jnp.zeros(8), jnp.zeros((8, 1)))
        Traceback (most recent call last):
        ValueError: outputs (8,) and targets (8, 1) must have one shape: use \
targets[:, 0].
    """
    one, other = outputs.shape, targets.shape
    if one == other:
        return
    remedy = "check which axis of which array is missing or in another place"
    if other == (*one, 1):
        remedy = f"use targets[{', '.join([':'] * len(one) + ['0'])}]"
    elif one == (*other, 1):
        remedy = f"use targets[{', '.join([':'] * len(other) + ['None'])}]"
    elif other == one[:-1] and jnp.issubdtype(targets.dtype, jnp.integer):
        remedy = (
            "integer classes go to cross_entropy, or as one-hot vectors here: "
            f"jax.nn.one_hot(targets, {one[-1]})"
        )
    raise ValueError(
        f"outputs {one} and targets {other} must have one shape: {remedy}."
    )


def require_classes(outputs: Values, label: Values, name: str = "targets") -> None:
    """Refuse labels that are not one integer for each vector of class scores.

    Args:
        outputs: Scores, with the classes along the last axis.
        label: The labels.
        name: What the caller's argument is called.

    Example:
        >>> require_classes(jnp.zeros((8, 10)), jnp.zeros((8, 1), int), "label")
        Traceback (most recent call last):
        ValueError: label (8, 1) must have the shape (8,), one class for each of the \
outputs (8, 10): use label[..., 0].
    """
    one, other = outputs.shape, label.shape
    if not one:
        raise ValueError("outputs () must have the classes as their last axis.")
    if not jnp.issubdtype(label.dtype, jnp.integer):
        remedy = f"use {name}.astype(int)"
        if other == one:
            remedy = f"use {name}.argmax(-1), or categorical_crossentropy"
        raise ValueError(
            f"{name} {other} has dtype {label.dtype}, but classes are integers: "
            f"{remedy}."
        )
    if other == one[:-1]:
        return
    remedy = "check which axis is missing or in another place"
    if other == (*one[:-1], 1):
        remedy = f"use {name}[..., 0]"
    elif other == one:
        remedy = f"one-hot vectors are {name}.argmax(-1), or categorical_crossentropy's"
    raise ValueError(
        f"{name} {other} must have the shape {one[:-1]}, one class for each of the "
        f"outputs {one}: {remedy}."
    )

"""Losses of sequences whose outputs and targets are not aligned."""

import jax.numpy as jnp
import optax
from jaxtyping import Float, Int, Shaped

from fdl.arrays import Array


def ctc(
    outputs: Float[Array, "*batch time classes"],
    targets: Shaped[Array, "*targets"],
    *,
    lengths: Int[Array, "*lengths"] | None = None,
) -> Float[Array, "*batch"]:
    """Return the loss of connectionist temporal classification (Graves et al., 2006).

    The negative log-probability, in nats, of all ways to spell the targets with
    repeated classes and blanks in between. Keras' function of this name, computed by
    `optax.ctc_loss`. Targets that need more steps than there are have a loss of about
    1e5 instead of infinity.

    Args:
        outputs: Logits of the classes at each step. Class 0 is the blank.
        targets: Classes from 1 in the order in which they occur, `*batch labels`,
            padded with 0 at the end: 0 is both the blank and the padding.
        lengths: Number of steps of each sequence that count; None for all. Keras' loss
            has no such option; its `ops.ctc_loss` calls it `output_length`.

    Raises:
        ValueError: If targets are not integers, or leading axes differ.

    Example:
        >>> import jax
        >>> loss = jax.jit(ctc)(jnp.zeros((1, 3, 2)), jnp.array([[1, 0]]))
        >>> round(float(loss[0]), 4)  # 6 of the 8 ways to spell it
        0.2877
    """
    batch, steps = outputs.shape[:-2], outputs.shape[-2]
    if outputs.ndim < 2 or targets.ndim < 1 or targets.shape[:-1] != batch:
        raise ValueError(
            f"outputs {outputs.shape} must be (*batch, time, classes) and targets "
            f"{targets.shape} (*batch, labels), with the same leading axes."
        )
    if not jnp.issubdtype(targets.dtype, jnp.integer):
        raise ValueError(
            f"targets {targets.shape} have dtype {targets.dtype}, but classes must be "
            "integers: use targets.astype(int)."
        )
    if lengths is not None and lengths.shape != batch:
        raise ValueError(
            f"lengths {lengths.shape} must have shape {batch}, one number for each "
            f"sequence of the outputs {outputs.shape}."
        )
    outputs = jnp.asarray(outputs).reshape(-1, *outputs.shape[-2:])
    targets = jnp.asarray(targets).reshape(len(outputs), -1)
    padded = jnp.zeros(outputs.shape[:2], bool)
    if lengths is not None:
        padded = jnp.arange(steps)[None] >= jnp.asarray(lengths).reshape(-1, 1)
    labels = jnp.sum(targets != 0, axis=1, keepdims=True)
    unused = jnp.arange(targets.shape[1])[None] >= labels
    kind = outputs.dtype
    losses = optax.ctc_loss(outputs, padded.astype(kind), targets, unused.astype(kind))
    return losses.reshape(batch)

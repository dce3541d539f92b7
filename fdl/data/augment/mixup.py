"""Mixup of training examples."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Float, Num, Shaped

from fdl.arrays import Array, DataError, Key, PyTree, Seed, as_key, unit_scale
from fdl.ranges import require_number


def mixup(
    alpha: float, *, num_classes: int | None = None
) -> Callable[[Key, PyTree], PyTree]:
    """Build mixup: mixing a batch with itself (Zhang et al., 2018, arXiv:1710.09412).

    Inputs and targets become `share * x + (1 - share) * x'`, where `x'` are the same
    examples in random order, and one `share` for each batch is drawn from Beta(alpha,
    alpha), as in the authors' code. Metrics that compare with a class, such as
    accuracy, are not meaningful on mixed batches.

    Args:
        alpha: Above 0; larger values mix more evenly. The paper uses 0.1 to 0.4 for
            ImageNet and 1 for CIFAR.
        num_classes: Number of classes, if targets are integers, which become
            probabilities. A target outside the classes becomes NaN.

    Returns:
        A change `(key, batch) -> batch` of a pair `(inputs, targets)`, such as a
        `Batch`, or of a dictionary of `inputs` and `targets`. Pass it to
        `fdl.learners.augmented` as `batch_change`.

    Raises:
        ValueError: If `alpha` is not above 0.
        DataError: If a batch has other parts, such as weights; if inputs are integers
            other than 8-bit pixels; or if targets are integers without `num_classes`.

    Example:
        >>> batch = (jnp.eye(4), jnp.arange(4))
        >>> change = jax.jit(mixup(1.0, num_classes=4))
        >>> inputs, targets = change(jax.random.key(0), batch)
        >>> targets.sum(axis=-1)
        Array([1., 1., 1., 1.], dtype=float32)
        >>> bool((inputs == targets).all())
        True
    """
    require_number("(0, inf)", alpha=alpha)

    def numbers(inputs: Num[Array, "..."]) -> Float[Array, "..."]:
        inputs = unit_scale(inputs)
        if not jnp.issubdtype(inputs.dtype, jnp.floating):
            raise DataError(
                f"inputs of dtype {inputs.dtype} cannot be mixed: use floating point "
                "or 8-bit pixels."
            )
        return inputs

    def probabilities(targets: Shaped[Array, "..."]) -> Float[Array, "..."]:
        if jnp.issubdtype(targets.dtype, jnp.floating):
            return targets
        if targets.dtype == bool:
            return jnp.asarray(targets, jnp.float32)
        if num_classes is None:
            raise DataError(
                f"targets of dtype {targets.dtype} become probabilities when they are "
                "mixed: pass num_classes to mixup."
            )
        named = (targets >= 0) & (targets < num_classes)
        one_hot = jax.nn.one_hot(targets, num_classes)
        return jnp.where(named[..., None], one_hot, jnp.nan)

    def change(key: Seed, batch: PyTree) -> PyTree:
        named = isinstance(batch, dict)
        if not (set(batch) == {"inputs", "targets"} if named else _is_pair(batch)):
            raise DataError(
                f"mixup takes a pair (inputs, targets), not a {type(batch).__name__} "
                f"of {len(batch)}: leave out weights and other parts."
            )
        inputs, targets = (batch["inputs"], batch["targets"]) if named else tuple(batch)
        parts = jax.tree.map(numbers, inputs), jax.tree.map(probabilities, targets)
        share_key, order_key = jax.random.split(as_key(key))
        share = jax.random.beta(share_key, alpha, alpha)
        order = jax.random.permutation(order_key, len(jax.tree.leaves(inputs)[0]))

        def mix(x: Float[Array, "batch ..."]) -> Float[Array, "batch ..."]:
            weight = share.astype(x.dtype)
            return weight * x + (1 - weight) * jnp.asarray(x)[order]

        inputs, targets = jax.tree.map(mix, parts)
        if named:
            return {"inputs": inputs, "targets": targets}
        if hasattr(batch, "_make"):
            return batch._make((inputs, targets))
        return inputs, targets

    return change


def _is_pair(batch: PyTree) -> bool:
    return isinstance(batch, tuple) and len(batch) == 2

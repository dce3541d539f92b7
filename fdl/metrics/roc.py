"""Area under the receiver operating characteristic."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Shaped

from fdl.arguments import require_same_shape
from fdl.arrays import Array
from fdl.metrics.sums import double, ratio, spread

Outputs = Float[Array, "*outputs"]
Targets = Shaped[Array, "*targets"]
Weights = Shaped[Array, "*leading"] | None


class RocCurve(NamedTuple):
    """Weights of answers by predicted probability, in bins of equal width.

    Attributes:
        positives: Weight of answers whose target is yes.
        negatives: Weight of answers whose target is no.
    """

    positives: Float[Array, "*members bins"]
    negatives: Float[Array, "*members bins"]

    def compute(self) -> Float[np.ndarray, "*members"]:
        """Return the area under the curve; NaN without answers of both kinds."""
        rates = []
        for weight in self:
            above = np.cumsum(double(weight)[..., ::-1], axis=-1)
            above = np.concatenate([np.zeros_like(above[..., :1]), above], axis=-1)
            total = np.broadcast_to(above[..., -1:], above.shape)
            rates.append(ratio(above, total))
        true, false = rates
        heights = (true[..., 1:] + true[..., :-1]) / 2
        return np.asarray(np.sum(heights * np.diff(false, axis=-1), axis=-1))


def auc(
    outputs: Outputs,
    targets: Targets,
    weights: Weights = None,
    *,
    num_thresholds: int = 200,
    from_logits: bool = True,
) -> RocCurve:
    """Return the area under the receiver operating characteristic.

    The probability that a yes has a larger output than a no. Like Keras' `AUC`, the
    curve has points at equally spaced thresholds, with straight lines in between.

    Args:
        outputs: A score for each answer.
        targets: Truth of each answer; above 1/2 means yes.
        weights: Weight of each example or answer; None for equal weights.
        num_thresholds: Number of thresholds, at least 2.
        from_logits: Whether outputs are logits; otherwise they are probabilities.

    Raises:
        ValueError: If the shapes differ, or there are too few thresholds.

    Example:
        >>> float(auc(jnp.array([2.0, -1.0, 0.5]), jnp.array([1, 0, 0])).compute())
        1.0
    """
    if num_thresholds < 2:
        raise ValueError(f"num_thresholds={num_thresholds} must be at least 2.")
    require_same_shape(outputs, targets)
    outputs = jnp.asarray(outputs)
    p = jax.nn.sigmoid(outputs) if from_logits else outputs
    bins = num_thresholds - 1
    # Bin i is above threshold i, but not above the next one.
    place = jnp.clip(jnp.ceil(p * bins).astype(int) - 1, 0, bins - 1)
    each, true = spread(weights, outputs.shape), jnp.asarray(targets) > 0.5
    none = jnp.zeros(bins, jnp.float32)
    return RocCurve(
        positives=none.at[place].add(jnp.where(true, each, 0)),
        negatives=none.at[place].add(jnp.where(true, 0, each)),
    )

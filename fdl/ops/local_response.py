"""Local response normalization."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from fdl.arrays import Array
from fdl.ranges import require_number, require_whole


def local_response_norm(
    x: Float[Array, "*batch channels"],
    *,
    size: int = 5,
    k: float = 2.0,
    alpha: float = 1e-4,
    beta: float = 0.75,
) -> Float[Array, "*batch channels"]:
    """Divide channels by the activity of those around them (Krizhevsky et al., 2012).

    `y[i] = x[i] / (k + alpha * sum(x[j]^2))^beta`, over the `size` channels around `i`,
    fewer at both ends. The defaults are the paper's, NeurIPS 2012, section 3.3.

    Conventions differ. The paper and `tf.nn.lrn` multiply `alpha` by the sum, as here;
    Caffe and PyTorch multiply it by the mean, so their `alpha` is `size` times as
    large. The paper's `k` is 2; its default is 1 in the three frameworks. TensorFlow
    calls it `bias`, and passes `size // 2` as `depth_radius`.

    Args:
        x: Activations, channels last; any number of leading axes.
        size: Number of channels in the sum, odd, at least 1; the paper's n.
        k: Divisor without any activity, before the power, above 0.
        alpha: Weight of the activity, at least 0.
        beta: Exponent of the divisor, at least 0.

    Raises:
        ValueError: If `size` is even, or a number is out of range.

    Example:
        >>> x = jnp.array([0.0, 1, 0, 0, 1])
        >>> local_response_norm(x, size=3, k=3.0, alpha=1.0, beta=0.5)
        Array([0. , 0.5, 0. , 0. , 0.5], dtype=float32)
    """
    require_whole("[1, inf)", size=size)
    require_number("(0, inf)", k=k)
    require_number("[0, inf)", alpha=alpha, beta=beta)
    if size % 2 == 0:
        raise ValueError(
            f"size={size} must be odd, with as many channels on either side."
        )
    x = jnp.asarray(x)
    inner = (1,) * (x.ndim - 1)
    around = [(0, 0)] * (x.ndim - 1) + [(size // 2, size // 2)]
    total = lax.reduce_window(x * x, 0.0, lax.add, (*inner, size), (*inner, 1), around)
    scale = k + alpha * total
    if beta == 0.75:  # two square roots take a fifth of the time of a power
        root = lax.rsqrt(scale)
        return x * (root * jnp.sqrt(root))
    return x * scale**-beta

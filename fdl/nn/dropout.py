"""Dropout."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Float

from fdl.arrays import Array, Number, is_concrete, is_on
from fdl.ranges import require_number


class Dropout(nn.Module):
    """Dropout (Srivastava et al., 2014, JMLR 15), as in Keras.

    In training, each value is set to zero with probability `rate` and otherwise divided
    by `1 - rate`, which preserves its mean. Training needs the random key `dropout`.

    Attributes:
        rate: Probability of dropping a value, in [0, 1].

    Raises:
        ValueError: If `rate` is out of range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> rngs = {"dropout": jax.random.key(0)}
        >>> y = Dropout(rate=0.5).apply({}, jnp.ones(1000), train=True, rngs=rngs)
        >>> sorted(set(y.tolist()))
        [0.0, 2.0]
    """

    rate: Number

    @nn.compact
    def __call__(
        self, x: Float[Array, "*shape"], *, train: bool = False
    ) -> Float[Array, "*shape"]:
        """Drop values with `train`; otherwise return `x`."""
        require_number("[0, 1]", rate=self.rate)
        if not train or not is_on(self.rate):
            return x
        if is_concrete(self.rate) and self.rate == 1:
            return jnp.zeros_like(x)
        keep = 1 - jnp.asarray(self.rate, x.dtype)
        kept = jax.random.bernoulli(self.make_rng("dropout"), keep, x.shape)
        return jnp.where(kept, x / keep, 0)

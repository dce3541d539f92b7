"""Dropout."""

import flax.linen as nn
from jaxtyping import Float

from fdl.arrays import Array


class Dropout(nn.Dropout):
    """Dropout (Srivastava et al., 2014, JMLR 15), as Keras'.

    In training, each value is zero with probability `rate`, and divided by `1 - rate`
    otherwise, so that its mean stays. Needs the random key `dropout` then.

    Attributes:
        rate: Probability of zero, from 0 to 1.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> rngs = {"dropout": jax.random.key(0)}
        >>> y = Dropout(rate=0.5).apply({}, jnp.ones(1000), train=True, rngs=rngs)
        >>> sorted(set(y.tolist()))
        [0.0, 2.0]
    """

    # One flag for all that training changes, `train`, as everywhere in fdl.
    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: Float[Array, "*shape"], *, train: bool = False
    ) -> Float[Array, "*shape"]:
        """Drop values if `train`, else return `x`."""
        return super().__call__(x, deterministic=not train)

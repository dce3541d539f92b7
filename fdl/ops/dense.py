"""Products of features and a kernel, whose gradient is as fast as they are."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from fdl.arrays import Array


@jax.custom_jvp
def dense(
    x: Float[Array, "*batch features"], kernel: Float[Array, "features out"]
) -> Float[Array, "*batch out"]:
    """Multiply features by a kernel: `x @ kernel`, for many rows of features.

    Example:
        >>> dense(jnp.ones((2, 5, 3)), jnp.ones((3, 4))).shape
        (2, 5, 4)
    """
    return x @ kernel


@dense.defjvp
def _dense_jvp(
    primals: tuple[Array, Array], tangents: tuple[Array, Array]
) -> tuple[Array, Array]:
    (x, kernel), (dx, dkernel) = primals, tangents
    return dense(x, kernel), dx @ kernel + by_kernel(x, dkernel)


def by_kernel(
    x: Float[Array, "*batch features"], kernel: Float[Array, "features out"]
) -> Float[Array, "*batch out"]:
    """Return `x @ kernel`, as a function of the kernel that is fast to transpose.

    The kernel's gradient is a product over all rows, and XLA on CPU runs that at half
    speed unless the rows already lie along the last axis. So they are laid there, and
    a barrier keeps XLA from taking that back.

    Example:
        >>> by_kernel(jnp.ones((2, 5, 3)), jnp.ones((3, 4))).shape
        (2, 5, 4)
    """
    rows = x.reshape(-1, x.shape[-1])
    across = lax.optimization_barrier(rows.T)
    y = lax.dot_general(across, kernel, (((0,), (0,)), ((), ())))
    return y.reshape(*x.shape[:-1], kernel.shape[-1])

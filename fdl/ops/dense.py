"""Products of features and a kernel, whose gradient is as fast as they are."""

import functools
from typing import Any

import jax
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Float

from fdl.arrays import Array
from fdl.ops.windows import Implementation, resolve


def dense(
    x: Float[Array, "*batch features"],
    kernel: Float[Array, "features out"],
    *,
    implementation: Implementation | None = None,
) -> Float[Array, "*batch out"]:
    """Multiply features by a kernel: `x @ kernel`, for many rows of features.

    Args:
        x: Rows of features.
        kernel: What each row is multiplied by.
        implementation: `"xla"` for the product and XLA's derivative of it; `"gemm"` for
            a derivative whose product is laid out as XLA on CPU is fast at; None to
            choose by platform.

    Raises:
        ValueError: If `implementation` is not a known one.

    Example:
        >>> import jax.numpy as jnp
        >>> dense(jnp.ones((2, 5, 3)), jnp.ones((3, 4))).shape
        (2, 5, 4)
    """
    if resolve(implementation, gemm_on=("cpu",)) == "xla":
        return x @ kernel
    return _dense(x, kernel)


@jax.custom_jvp
def _dense(
    x: Float[Array, "*batch features"], kernel: Float[Array, "features out"]
) -> Float[Array, "*batch out"]:
    return x @ kernel


@functools.partial(_dense.defjvp, symbolic_zeros=True)
def _dense_jvp(
    primals: tuple[Array, Array], tangents: tuple[Any, Any]
) -> tuple[Array, Array]:
    (x, kernel), (dx, dkernel) = primals, tangents
    y = _dense(x, kernel)
    # A first layer's inputs do not change, and a kernel may be a constant.
    if isinstance(dkernel, SymbolicZero):
        return y, dx @ kernel
    dy = by_kernel(x, dkernel, implementation="gemm")
    return y, dy if isinstance(dx, SymbolicZero) else dy + dx @ kernel


def by_kernel(
    x: Float[Array, "*batch features"],
    kernel: Float[Array, "features out"],
    *,
    implementation: Implementation | None = None,
) -> Float[Array, "*batch out"]:
    """Return `x @ kernel`, as a function of the kernel that is fast to transpose.

    The kernel's gradient is a product over all rows, `x^T dy`. Where they are many, XLA
    on CPU runs that at half speed unless the rows of the left one already lie along its
    last axis. So the narrower of the two is laid there first, and a barrier keeps XLA
    from taking that back.

    Example:
        >>> import jax.numpy as jnp
        >>> by_kernel(jnp.ones((2, 5, 3)), jnp.ones((3, 4))).shape
        (2, 5, 4)
    """
    rows = x.reshape(-1, x.shape[-1])
    features, out = kernel.shape
    way = resolve(implementation, gemm_on=("cpu",))
    if way == "xla" or len(rows) < min(features, out):
        return x @ kernel
    if features <= out:
        across = lax.optimization_barrier(rows.T)
        y = lax.dot_general(across, kernel, (((0,), (0,)), ((), ())))
    else:
        y = lax.dot_general(kernel, rows, (((0,), (1,)), ((), ())))
        y = lax.optimization_barrier(y).T
    return y.reshape(*x.shape[:-1], out)

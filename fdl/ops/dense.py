"""Matrix products of features and a kernel, with a fast gradient."""

import functools
from typing import Any

import jax
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Float

from fdl.arrays import Array
from fdl.ops import rules
from fdl.ops.rules import Implementation, resolve


def dense(
    x: Float[Array, "*batch features"],
    kernel: Float[Array, "features out"],
    *,
    implementation: Implementation | None = None,
) -> Float[Array, "*batch out"]:
    """Multiply rows of features by a kernel: `x @ kernel`.

    Args:
        x: Rows of features.
        kernel: The matrix that each row is multiplied by.
        implementation: `"xla"` for XLA's derivative of the product; `"tuned"` for a
            derivative in the memory layout that is fastest with XLA on CPU; None to
            choose by platform.

    Raises:
        ValueError: If `implementation` is unknown.

    Example:
        >>> import jax.numpy as jnp
        >>> dense(jnp.ones((2, 5, 3)), jnp.ones((3, 4))).shape
        (2, 5, 4)
    """
    if resolve(implementation, tuned_on=("cpu",)) == "xla":
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
    # The inputs of a first layer are constants, and a kernel may be one.
    if isinstance(dkernel, SymbolicZero):
        return y, dx @ kernel
    dy = dense_fast_transpose(x, dkernel, implementation="tuned")
    return y, dy if isinstance(dx, SymbolicZero) else dy + dx @ kernel


def dense_fast_transpose(
    x: Float[Array, "*batch features"],
    kernel: Float[Array, "features out"],
    *,
    implementation: Implementation | None = None,
) -> Float[Array, "*batch out"]:
    """Return `x @ kernel`, computed so that its transpose in `kernel` is fast.

    The gradient of the kernel is a product over all rows, `x^T dy`. With many rows, XLA
    on CPU runs it at half speed unless the rows already lie along the last axis of the
    left operand. So the narrower operand is transposed first, and a barrier prevents
    XLA from undoing that. If rows of several axes are sharded over devices, the axes
    are not merged: a merged axis would have to be gathered by every device.

    Example:
        >>> import jax.numpy as jnp
        >>> dense_fast_transpose(jnp.ones((2, 5, 3)), jnp.ones((3, 4))).shape
        (2, 5, 4)
    """
    rows = x.reshape(-1, x.shape[-1])
    features, out = kernel.shape
    chosen = resolve(implementation, tuned_on=("cpu",))
    if x.ndim > 2 and rules.devices() > 1:
        chosen = "xla"
    if chosen == "xla" or rules.at_most(rows.shape[0], min(features, out) - 1):
        return x @ kernel
    if features <= out:
        across = lax.optimization_barrier(rows.T)
        y = lax.dot_general(across, kernel, (((0,), (0,)), ((), ())))
    else:
        y = lax.dot_general(kernel, rows, (((0,), (1,)), ((), ())))
        y = lax.optimization_barrier(y).T
    return y.reshape(*x.shape[:-1], out)

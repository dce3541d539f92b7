"""Products whose derivatives are products of the same kind.

A convolution is linear in its images and in its kernel, so the sum of
`gradient * conv(images, kernel)` is one number, linear in each of three arrays. With
two of them fixed, the third is multiplied by an array of its own shape:

    output   of images and kernel:    the convolution itself
    images   of gradient and kernel:  the gradient of the images
    kernel   of images and gradient:  the gradient of the kernel

The transposes of each of these maps are the other two. So derivatives of any order, in
forward or reverse mode, consist of these three maps, each with its own fast
implementation, whereas JAX's derivative of the first may be slow.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from fdl.arrays import Array

Compute = Callable[[Array, Array, Any], Array]
"""A map of two arrays and a form, a hashable description of the product."""


class Map(NamedTuple):
    """One of the three maps.

    Attributes:
        compute: `(a, b, form) -> result`. All three arrays may have further leading
            axes, the members of a `vmap`.
        shape: `(shape of a, shape of b, form) -> shape of the result`.
        ndim: The number of axes of `a` when there are no members.
    """

    compute: Compute
    shape: Callable[[tuple[int, ...], tuple[int, ...], Any], tuple[int, ...]]
    ndim: int


class Trilinear(NamedTuple):
    """Three maps, each of two arrays and a form."""

    output: Compute
    images: Compute
    kernel: Compute


def trilinear(name: str, output: Map, images: Map, kernel: Map) -> Trilinear:
    """Return three maps that are each other's derivatives.

    The first axis of images and gradients counts examples. A `vmap` over only these
    adds examples; any other `vmap` adds members.

    Example:
        >>> matmul = trilinear(
        ...     "matmul",
        ...     Map(lambda x, k, _: x @ k, lambda x, k, _: x[:-1] + k[-1:], 2),
        ...     Map(lambda g, k, _: g @ k.mT, lambda g, k, _: g[:-1] + k[-2:-1], 2),
        ...     Map(lambda x, g, _: x.mT @ g, lambda x, g, _: x[-1:] + g[-1:], 2),
        ... )
        >>> x, k = jnp.ones((5, 3)), jnp.ones((3, 2))
        >>> jax.grad(lambda k: matmul.output(x, k, None).sum())(k).shape
        (3, 2)
    """
    primitives = [Primitive(f"{name}_{part}") for part in Trilinear._fields]
    of_output, of_images, of_kernel = primitives

    ad.defbilinear(
        of_output,
        lambda g, x, k, *, form: of_images.bind(g, k, form=form),
        lambda g, x, k, *, form: of_kernel.bind(x, g, form=form),
    )
    ad.defbilinear(
        of_images,
        lambda x, g, k, *, form: of_output.bind(x, k, form=form),
        lambda x, g, k, *, form: of_kernel.bind(x, g, form=form),
    )
    ad.defbilinear(
        of_kernel,
        lambda k, x, g, *, form: of_images.bind(g, k, form=form),
        lambda k, x, g, *, form: of_output.bind(x, k, form=form),
    )
    for primitive, each in zip(primitives, (output, images, kernel), strict=True):
        _define(primitive, each, by_example=primitive is not of_kernel)

    def call(primitive: Primitive) -> Compute:
        return lambda a, b, form: primitive.bind(a, b, form=form)

    return Trilinear(*(call(primitive) for primitive in primitives))


def _define(primitive: Primitive, of: Map, by_example: bool) -> None:
    def compute(a: Array, b: Array, *, form: Any) -> Array:
        return of.compute(a, b, form)

    def shaped(a: ShapedArray, b: ShapedArray, *, form: Any) -> ShapedArray:
        members = a.ndim - of.ndim
        shape = of.shape(a.shape[members:], b.shape[members:], form)
        return ShapedArray((*a.shape[:members], *shape), a.dtype)

    def batch(arrays: tuple, axes: tuple, *, form: Any) -> tuple[Array, int]:
        (a, b), (of_a, of_b) = arrays, axes
        size = a.shape[of_a] if of_a is not None else b.shape[of_b]
        if by_example and of_a is not None and of_b is None:
            place = a.ndim - 1 - of.ndim  # the axis of examples
            a = jnp.moveaxis(a, of_a, place)
            count = a.shape[place + 1]
            joined = a.reshape(*a.shape[:place], size * count, *a.shape[place + 2 :])
            y = primitive.bind(joined, b, form=form)
            shape = (*y.shape[:place], size, count, *y.shape[place + 1 :])
            return y.reshape(shape), place
        a, b = (
            jnp.broadcast_to(x, (size, *x.shape))
            if axis is None
            else jnp.moveaxis(x, axis, 0)
            for x, axis in ((a, of_a), (b, of_b))
        )
        return primitive.bind(a, b, form=form), 0

    primitive.def_impl(jax.jit(compute, static_argnames="form"))
    primitive.def_abstract_eval(shaped)
    batching.primitive_batchers[primitive] = batch
    mlir.register_lowering(primitive, mlir.lower_fun(compute, multiple_results=False))

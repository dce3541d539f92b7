"""Geometric transformations of images: rotation, shift, scaling, perspective."""

from typing import Literal

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Float

from fdl.arrays import Array

Interpolation = Literal["nearest", "bilinear"]
"""How to sample between pixels: the nearest pixel, or the four around the place."""

FillMode = Literal["constant", "nearest", "reflect", "wrap"]
"""How an image continues beyond its border: with one value, with the border pixels,
mirrored, or from its other side."""


def sample(
    images: Float[Array, "*batch height width channels"],
    rows: Float[Array, "*batch out_height out_width"],
    columns: Float[Array, "*batch out_height out_width"],
    *,
    interpolation: Interpolation = "bilinear",
    fill_mode: FillMode = "constant",
    fill: float = 0.0,
) -> Float[jax.Array, "*batch out_height out_width channels"]:
    """Sample images at arbitrary coordinates.

    Args:
        images: Images, channels last; any number of leading batch axes.
        rows: Row from which each pixel of the result is sampled; 0 is the first.
        columns: Column from which each pixel is sampled; 0 is the first.
        interpolation: How to sample between pixels.
        fill_mode: How images continue beyond their border.
        fill: Value beyond the border, for `fill_mode="constant"`.

    Example:
        >>> image = jnp.array([[[1.0], [3.0]]])
        >>> sample(image, jnp.zeros((1, 3)), jnp.array([[0.0, 0.5, 2.0]]))[0, :, 0]
        Array([1., 2., 0.], dtype=float32)
    """
    order = 1 if interpolation == "bilinear" else 0

    def channel(pixels: Array, y: Array, x: Array) -> jax.Array:
        return map_coordinates(pixels, [y, x], order, fill_mode, fill)

    places = [jnp.reshape(x, (-1, *x.shape[-2:])) for x in (rows, columns)]
    flat = jnp.reshape(images, (-1, *images.shape[-3:]))
    one = jax.vmap(channel, (-1, None, None), -1)
    return jax.vmap(one)(flat, *places).reshape(*rows.shape, images.shape[-1])


def project(
    images: Float[Array, "*batch height width channels"],
    transform: Float[Array, "*batch 8"],
    *,
    interpolation: Interpolation = "bilinear",
    fill_mode: FillMode = "constant",
    fill: float = 0.0,
) -> Float[jax.Array, "*batch height width channels"]:
    """Apply a projective transformation: rotate, shift, scale, shear or tilt images.

    Args:
        images: Images, channels last; any number of leading batch axes.
        transform: Eight numbers a, b, ..., h. The pixel at column x and row y of the
            result is sampled from column `(a x + b y + c) / k` and row
            `(d x + e y + f) / k`, with `k = g x + h y + 1`.
        interpolation: How to sample between pixels.
        fill_mode: How images continue beyond their border.
        fill: Value beyond the border, for `fill_mode="constant"`.

    Example:
        >>> image = jnp.array([[[1.0], [2.0], [3.0]]])
        >>> transform = jnp.array([1.0, 0, -1, 0, 1, 0, 0, 0])
        >>> project(image, transform)[0, :, 0]
        Array([0., 1., 2.], dtype=float32)
    """
    *batch, height, width, _ = images.shape
    grid = jnp.indices((height, width), transform.dtype)
    y, x = (each.reshape((1,) * len(batch) + each.shape) for each in grid)
    a, b, c, d, e, f, g, h = (
        jnp.moveaxis(transform, -1, 0)[i][..., None, None] for i in range(8)
    )
    k = g * x + h * y + 1
    return sample(
        images,
        (d * x + e * y + f) / k,
        (a * x + b * y + c) / k,
        interpolation=interpolation,
        fill_mode=fill_mode,
        fill=fill,
    )


def rotation(
    angle: Float[Array, "*batch"], height: int, width: int
) -> Float[jax.Array, "*batch 8"]:
    """Return the transform that makes `project` rotate images about their center.

    Args:
        angle: Angle in radians, counterclockwise.
        height: Height of the images, in pixels.
        width: Width of the images, in pixels.

    Example:
        >>> image = jnp.array([[1.0, 2], [3, 4]])[..., None]
        >>> transform = rotation(jnp.array(jnp.pi / 2), 2, 2)
        >>> project(image, transform)[..., 0].round().astype(int)
        Array([[2, 4],
               [1, 3]], dtype=int32)
    """
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    x, y = (width - 1) / 2, (height - 1) / 2
    none = jnp.zeros_like(cos)
    return jnp.stack(
        [
            *(cos, -sin, x - x * cos + y * sin),
            *(sin, cos, y - x * sin - y * cos),
            *(none, none),
        ],
        axis=-1,
    )

"""Convolution of images, as neural networks mean it (LeCun et al., 1989)."""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from fdl.arrays import Array
from fdl.ops.windows import Implementation, Padding, border, resolve, taps


def conv(
    x: Float[Array, "*batch height width channels"],
    kernel: Float[Array, "kernel_height kernel_width channels features"],
    *,
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "valid",
    implementation: Implementation | None = None,
) -> Float[Array, "*batch out_height out_width features"]:
    """Cross-correlate images with a bank of kernels (LeCun et al., 1989).

    `y[m, n, f] = sum_{p, q, c} x[m s + p, n s + q, c] kernel[p, q, c, f]`, the function
    of Keras' `Conv2D` without its bias. Kernels are not flipped.

    Args:
        x: Images, channels last; any number of leading batch axes, none included.
        kernel: One kernel for each output feature.
        strides: Step of the window down and across, in pixels, at least 1.
        padding: `"valid"`, or `"same"` for outputs of `ceil(size / stride)` pixels.
        implementation: `"xla"` for XLA's convolution; `"gemm"` for one matrix product
            over the windows' pixels, whose derivative stays fast on CPU in loops and
            under `vmap` over kernels; None for the better one on the default platform,
            which on CPU is the product where a derivative is taken.

    Raises:
        ValueError: If the channels of `x` and `kernel` differ, no window fits, or an
            option is out of range.

    Example:
        >>> x = jnp.ones((2, 28, 28, 1))
        >>> conv(x, jnp.ones((3, 3, 1, 32))).shape
        (2, 26, 26, 32)
        >>> conv(x, jnp.ones((3, 3, 1, 32)), strides=(2, 2), padding="same").shape
        (2, 14, 14, 32)
    """
    x, kernel = jnp.asarray(x), jnp.asarray(kernel)
    height, width, channels = x.shape[-3:]
    kernel_height, kernel_width, kernel_channels, _ = kernel.shape
    if channels != kernel_channels:
        raise ValueError(
            f"images have {channels} channels, but the kernel expects "
            f"{kernel_channels}: shapes {x.shape} and {kernel.shape}."
        )
    window = (kernel_height, kernel_width)
    pads = border((height, width), window, strides, padding)
    if implementation is None and resolve(None) == "gemm":
        return _gemm_if_differentiated(x, kernel, strides, pads)
    lower = _xla if resolve(implementation) == "xla" else _gemm
    return lower(x, kernel, strides, pads)


Images = Float[jax.Array, "*batch height width channels"]
Kernel = Float[jax.Array, "kernel_height kernel_width channels features"]
Features = Float[jax.Array, "*batch out_height out_width features"]
Pads = tuple[tuple[int, int], tuple[int, int]]


def _xla(x: Images, kernel: Kernel, strides: tuple[int, int], pads: Pads) -> Features:
    y = lax.conv_general_dilated(
        x.reshape(-1, *x.shape[-3:]),
        kernel,
        window_strides=strides,
        padding=pads,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return y.reshape(*x.shape[:-3], *y.shape[1:])


def _gemm(x: Images, kernel: Kernel, strides: tuple[int, int], pads: Pads) -> Features:
    # The pixels under each window side by side, then one product. Its derivative is
    # again slices, additions and two products: none of XLA's slow convolutions.
    x = jnp.pad(x, [(0, 0)] * (x.ndim - 3) + [*pads, (0, 0)])
    height, width, _, features = kernel.shape
    patches = jnp.concatenate(taps(x, (height, width), strides), axis=-1)
    return patches @ kernel.reshape(-1, features)


# Alone, XLA's convolution is up to four times faster on CPU than the product, most of
# all for large batches; it is the derivative that it is slow at.
@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _gemm_if_differentiated(
    x: Images, kernel: Kernel, strides: tuple[int, int], pads: Pads
) -> Features:
    return _xla(x, kernel, strides, pads)


@_gemm_if_differentiated.defjvp
def _gemm_jvp(
    strides: tuple[int, int],
    pads: Pads,
    primals: tuple[Images, Kernel],
    tangents: tuple[Images, Kernel],
) -> tuple[Features, Features]:
    return jax.jvp(lambda x, k: _gemm(x, k, strides, pads), primals, tangents)

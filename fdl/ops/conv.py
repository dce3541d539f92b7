"""Convolution of images and its transpose (LeCun et al., 1989)."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Float

from fdl.arrays import Array
from fdl.ops import rules
from fdl.ops.convolution import Form, by_xla, join_groups, tuned
from fdl.ops.rules import Implementation, resolve
from fdl.ops.windows import Padding, border
from fdl.ranges import require_whole


def conv(
    x: Float[Array, "*batch height width channels"],
    kernel: Float[Array, "kernel_height kernel_width group_channels features"],
    *,
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "valid",
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    implementation: Implementation | None = None,
) -> Float[Array, "*batch out_height out_width features"]:
    """Cross-correlate images with a bank of kernels (LeCun et al., 1989).

    `y[m, n, f] = sum_{p, q, c} x[m s + p d, n s + q d, c] kernel[p, q, c, f]`, the
    function of Keras' `Conv2D` without its bias. Kernels are not flipped.

    Args:
        x: Images, channels last; any number of leading batch axes, including none.
        kernel: One kernel for each output feature.
        strides: Strides `s` of the window, down and across, in pixels, at least 1.
        padding: `"valid"`, or `"same"` for outputs of `ceil(size / stride)` pixels.
        dilation: Distance `d` between the pixels of a window (Yu & Koltun, 2016,
            arXiv:1511.07122), at least 1.
        groups: Number of groups that channels and features are split into; each group
            of features sees one group of channels (Krizhevsky et al., 2012).
        implementation: `"xla"` for XLA's convolution and its derivatives; `"tuned"` for
            implementations chosen by shape that stay fast on CPU, inside loops and
            under `vmap` over kernels; None for `"tuned"` on CPU and, with small
            windows, on GPU, and `"xla"` otherwise.

    Raises:
        ValueError: If the channels of `x` and `kernel` do not match, no window fits,
            or an option is out of range.

    Example:
        >>> x = jnp.ones((2, 28, 28, 1))
        >>> conv(x, jnp.ones((3, 3, 1, 32))).shape
        (2, 26, 26, 32)
        >>> conv(x, jnp.ones((3, 3, 1, 32)), strides=(2, 2), padding="same").shape
        (2, 14, 14, 32)
    """
    x, kernel = jnp.asarray(x), jnp.asarray(kernel)
    height, width, channels = x.shape[-3:]
    *window, group_channels, features = kernel.shape
    window = (window[0], window[1])
    if groups < 1 or channels % groups or features % groups:
        raise ValueError(
            f"groups={groups} must divide {channels} channels and {features} features."
        )
    if channels != group_channels * groups:
        raise ValueError(
            f"images have {channels} channels, but the kernel expects "
            f"{group_channels * groups}: shapes {x.shape} and {kernel.shape}."
        )
    pads = border((height, width), window, strides, padding, dilation)
    form = Form((height, width), window, strides, pads, dilation, groups)
    if _is_tuned(implementation, form, group_channels):
        if group_channels == 1 and features > groups > 1:  # several per channel
            x = jnp.repeat(x, features // groups, axis=-1)
            form = form._replace(groups=features)
        elif groups > 1 and group_channels > 1:
            kernel, groups = join_groups(kernel, groups)
            form = form._replace(groups=groups)
        y = tuned.output(x.reshape(-1, *x.shape[-3:]), kernel, form)
        return y.reshape(*x.shape[:-3], *y.shape[1:])
    return by_xla(x, kernel, form)


def conv_transpose(
    x: Float[Array, "*batch height width channels"],
    kernel: Float[Array, "kernel_height kernel_width features channels"],
    *,
    strides: tuple[int, int] = (1, 1),
    padding: Padding = "valid",
    implementation: Implementation | None = None,
) -> Float[Array, "*batch out_height out_width features"]:
    """Apply the transpose of a convolution (Zeiler et al., 2010).

    The gradient of `conv` with respect to its image, as a linear map: each pixel of `x`
    adds a multiple of the kernel to the output. The function of Keras'
    `Conv2DTranspose` without its bias.

    Args:
        x: Images, channels last; any number of leading batch axes, including none.
        kernel: One kernel for each input channel; features come before channels.
        strides: Distance in the output, in pixels, between neighbors in `x`.
        padding: `"same"` for outputs of `size * stride` pixels; `"valid"` for all
            pixels that the kernel reaches, `(size - 1) * stride + max(window, stride)`.
        implementation: As in `conv`.

    Raises:
        ValueError: If the channels of `x` and `kernel` differ or an option is out of
            range.

    Example:
        >>> x = jnp.ones((2, 7, 7, 16))
        >>> kernel = jnp.ones((4, 4, 8, 16))
        >>> conv_transpose(x, kernel, strides=(2, 2), padding="same").shape
        (2, 14, 14, 8)
    """
    x, kernel = jnp.asarray(x), jnp.asarray(kernel)
    *batch, height, width, channels = x.shape
    *window, features, kernel_channels = kernel.shape
    window = (window[0], window[1])
    if channels != kernel_channels:
        raise ValueError(
            f"images have {channels} channels, but the kernel expects "
            f"{kernel_channels}: shapes {x.shape} and {kernel.shape}."
        )
    require_whole("[1, inf)", strides=strides)
    reach = window if padding == "valid" else (0, 0)
    size = (
        (height - 1) * strides[0] + max(reach[0], strides[0]),
        (width - 1) * strides[1] + max(reach[1], strides[1]),
    )
    pads = border(size, window, strides, padding)
    form = Form(size, window, strides, pads)
    if _is_tuned(implementation, form, features):
        y = tuned.images(x.reshape(-1, height, width, channels), kernel, form)
        return y.reshape(*batch, *y.shape[1:])
    image = jax.ShapeDtypeStruct((*batch, *size, features), x.dtype)
    (y,) = jax.linear_transpose(lambda image: by_xla(image, kernel, form), image)(x)
    return y


def _is_tuned(
    implementation: Implementation | None, form: Form, group_channels: int
) -> bool:
    short = math.prod(form.window) * group_channels <= rules.LONGEST_ROW
    on_gpu = short and form.groups == 1  # groups were measured on CPU only
    tuned_on = ("cpu", "gpu") if on_gpu else ("cpu",)
    return resolve(implementation, tuned_on) == "tuned"

"""Convolutional layers."""

from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Float

from fdl import ops
from fdl.arrays import Array
from fdl.nn import initializers
from fdl.nn.initializers import Initializer
from fdl.ranges import require_whole


class Conv2D(nn.Module):
    """Convolution of images (LeCun et al., 1989), like Keras' `Conv2D`.

    As in Keras and unlike in Linen, the defaults are Glorot's uniform distribution for
    kernels, and `"valid"` padding.

    Attributes:
        features: Number of kernels, at least 1.
        kernel_size: Height and width of a kernel, in pixels.
        strides: Strides of the window, down and across, in pixels.
        padding: `"valid"` or `"same"`.
        dilation: Distance between the pixels under a kernel; 1 for neighbors.
        groups: Number of groups that channels and features are split into.
        use_bias: Whether to add a bias to each feature.
        kernel_init: Initializer of the kernel; see `fdl.nn.initializers`.
        bias_init: Initializer of the bias.
        implementation: See `fdl.ops.conv`; None to choose by platform.

    Raises:
        ValueError: If no window fits or an option is out of range.

    Example:
        >>> import jax
        >>> layer = Conv2D(features=32, kernel_size=(3, 3))
        >>> x = jnp.ones((2, 28, 28, 1))
        >>> variables = jax.eval_shape(layer.init, jax.random.key(0), x)
        >>> jax.eval_shape(layer.apply, variables, x).shape
        (2, 26, 26, 32)
    """

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: ops.Padding = "valid"
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    use_bias: bool = True
    kernel_init: Initializer = "glorot_uniform"
    bias_init: Initializer = "zeros"
    implementation: ops.Implementation | None = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch height width channels"]
    ) -> Float[Array, "*batch out_height out_width {self.features}"]:
        """Convolve images."""
        require_whole("[1, inf)", features=self.features, kernel_size=self.kernel_size)
        group_channels = x.shape[-1] // max(1, self.groups)
        shape = (*self.kernel_size, group_channels, self.features)
        kernel = self.param("kernel", initializers.get(self.kernel_init), shape)
        x, kernel = promote_dtype(x, kernel)
        y = ops.conv(
            x,
            kernel,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            implementation=self.implementation,
        )
        return add_bias(self, y) if self.use_bias else y


class Conv1D(nn.Module):
    """Convolution of sequences (Waibel et al., 1989), like Keras' `Conv1D`.

    Attributes:
        features: Number of kernels, at least 1.
        kernel_size: Length of a kernel, in steps, at least 1.
        stride: Steps from one window to the next, at least 1.
        padding: `"valid"`, `"same"`, or `"causal"`, where an output depends on its own
            step and earlier ones (van den Oord et al., 2016, arXiv:1609.03499).
        dilation: Distance between the steps under a kernel.
        groups: Number of groups that channels and features are split into.
        use_bias: Whether to add a bias to each feature.
        kernel_init: Initializer of the kernel; see `fdl.nn.initializers`.
        bias_init: Initializer of the bias.
        implementation: See `fdl.ops.conv`; None to choose by platform.

    Raises:
        ValueError: If no window fits or an option is out of range.

    Example:
        >>> import jax
        >>> layer = Conv1D(features=16, kernel_size=3)
        >>> x = jnp.ones((2, 10, 4))
        >>> variables = jax.eval_shape(layer.init, jax.random.key(0), x)
        >>> jax.eval_shape(layer.apply, variables, x).shape
        (2, 8, 16)
    """

    features: int
    kernel_size: int
    stride: int = 1
    padding: ops.Padding | Literal["causal"] = "valid"
    dilation: int = 1
    groups: int = 1
    use_bias: bool = True
    kernel_init: Initializer = "glorot_uniform"
    bias_init: Initializer = "zeros"
    implementation: ops.Implementation | None = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch time channels"]
    ) -> Float[Array, "*batch out_time {self.features}"]:
        """Convolve sequences."""
        require_whole("[1, inf)", features=self.features, kernel_size=self.kernel_size)
        group_channels = x.shape[-1] // max(1, self.groups)
        shape = (self.kernel_size, group_channels, self.features)
        kernel = self.param("kernel", initializers.get(self.kernel_init), shape)
        x, kernel = promote_dtype(x, kernel)
        padding = self.padding
        if padding == "causal":
            before = (self.kernel_size - 1) * self.dilation
            x = jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(before, 0), (0, 0)])
            padding = "valid"
        # Treat a sequence as an image one pixel high.
        y = ops.conv(
            x[..., None, :, :],
            kernel[None],
            strides=(1, self.stride),
            padding=padding,
            dilation=(1, self.dilation),
            groups=self.groups,
            implementation=self.implementation,
        )[..., 0, :, :]
        return add_bias(self, y) if self.use_bias else y


class Conv2DTranspose(nn.Module):
    """Transposed convolution (Zeiler et al., 2010), like Keras' `Conv2DTranspose`.

    Enlarges images; with `"same"` padding, by the stride. Used in the generator of
    DCGAN and the decoder of U-Net.

    Attributes:
        features: Number of channels of the output, at least 1.
        kernel_size: Height and width of a kernel, in pixels of the output.
        strides: Factors for the number of rows and columns.
        padding: `"valid"` or `"same"`, see `fdl.ops.conv_transpose`.
        use_bias: Whether to add a bias to each feature.
        kernel_init: Initializer of the kernel; see `fdl.nn.initializers`.
        bias_init: Initializer of the bias.
        implementation: See `fdl.ops.conv`; None to choose by platform.

    Raises:
        ValueError: If an option is out of range.

    Example:
        >>> import jax
        >>> layer = Conv2DTranspose(
        ...     features=8, kernel_size=(4, 4), strides=(2, 2), padding="same"
        ... )
        >>> x = jnp.ones((2, 7, 7, 16))
        >>> variables = jax.eval_shape(layer.init, jax.random.key(0), x)
        >>> jax.eval_shape(layer.apply, variables, x).shape
        (2, 14, 14, 8)
    """

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: ops.Padding = "valid"
    use_bias: bool = True
    kernel_init: Initializer = "glorot_uniform"
    bias_init: Initializer = "zeros"
    implementation: ops.Implementation | None = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch height width channels"]
    ) -> Float[Array, "*batch out_height out_width {self.features}"]:
        """Convolve images."""
        require_whole("[1, inf)", features=self.features, kernel_size=self.kernel_size)
        shape = (*self.kernel_size, self.features, x.shape[-1])
        kernel = self.param("kernel", initializers.get(self.kernel_init), shape)
        x, kernel = promote_dtype(x, kernel)
        y = ops.conv_transpose(
            x,
            kernel,
            strides=self.strides,
            padding=self.padding,
            implementation=self.implementation,
        )
        return add_bias(self, y) if self.use_bias else y


def add_bias(
    layer: Any, y: Float[Array, "*shape features"]
) -> Float[Array, "*shape features"]:
    """Create a layer's parameter `bias`, and add it."""
    bias = layer.param("bias", initializers.get(layer.bias_init), (y.shape[-1],))
    y, bias = promote_dtype(y, bias)
    # Explicit, since implicit rank promotion is an error in the tests.
    return y + jnp.broadcast_to(bias, y.shape)

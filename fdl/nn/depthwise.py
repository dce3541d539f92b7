"""Depthwise and separable convolution."""

import flax.linen as nn
from flax.linen.dtypes import promote_dtype
from jaxtyping import Float

from fdl import ops
from fdl.arrays import Array
from fdl.nn import initializers
from fdl.nn.conv import add_bias
from fdl.nn.initializers import Initializer
from fdl.ranges import require_whole


class DepthwiseConv2D(nn.Module):
    """Convolution of each channel separately (Sifre, 2014), as in Keras.

    Output channel `c * depth_multiplier + m` is input channel `c` convolved with its
    kernel `m`.

    Attributes:
        kernel_size: Height and width of a kernel, in pixels.
        strides: Strides of the window, down and across, in pixels.
        padding: `"valid"` or `"same"`.
        depth_multiplier: Number of kernels for each channel, at least 1.
        dilation: Distance between the pixels under a kernel.
        use_bias: Whether to add a bias to each feature.
        kernel_init: Initializer of the kernel; see `fdl.nn.initializers`.
        bias_init: Initializer of the bias.
        implementation: See `fdl.ops.conv`; None to choose by platform.

    Raises:
        ValueError: If no window fits or an option is out of range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> layer = DepthwiseConv2D(kernel_size=(3, 3))
        >>> x = jnp.ones((2, 28, 28, 8))
        >>> variables = jax.eval_shape(layer.init, jax.random.key(0), x)
        >>> jax.eval_shape(layer.apply, variables, x).shape
        (2, 26, 26, 8)
    """

    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: ops.Padding = "valid"
    depth_multiplier: int = 1
    dilation: tuple[int, int] = (1, 1)
    use_bias: bool = True
    kernel_init: Initializer = "glorot_uniform"
    bias_init: Initializer = "zeros"
    implementation: ops.Implementation | None = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch height width channels"]
    ) -> Float[Array, "*batch out_height out_width features"]:
        """Convolve images."""
        _require_sizes(self)
        shape = (*self.kernel_size, x.shape[-1], self.depth_multiplier)
        kernel = self.param("kernel", initializers.get(self.kernel_init), shape)
        y = _depthwise(self, x, kernel)
        return add_bias(self, y) if self.use_bias else y


class SeparableConv2D(nn.Module):
    """Depthwise, then pointwise convolution (Sifre, 2014), as in Keras.

    The layer of Xception (Chollet, 2017, arXiv:1610.02357), with no activation between
    the two convolutions and a bias only after the second.

    Attributes:
        features: Number of kernels of the pointwise convolution, at least 1.
        kernel_size: Height and width of a depthwise kernel, in pixels.
        strides: Strides of the window, down and across, in pixels.
        padding: `"valid"` or `"same"`.
        depth_multiplier: Number of depthwise kernels for each channel, at least 1.
        dilation: Distance between the pixels under a depthwise kernel.
        use_bias: Whether to add a bias to each feature.
        depthwise_init: Initializer of the depthwise kernel; see `fdl.nn.initializers`.
        pointwise_init: Initializer of the pointwise kernel.
        bias_init: Initializer of the bias.
        implementation: See `fdl.ops.conv`; None to choose by platform.

    Raises:
        ValueError: If no window fits or an option is out of range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> layer = SeparableConv2D(features=16, kernel_size=(3, 3))
        >>> x = jnp.ones((2, 28, 28, 8))
        >>> variables = jax.eval_shape(layer.init, jax.random.key(0), x)
        >>> jax.eval_shape(layer.apply, variables, x).shape
        (2, 26, 26, 16)
    """

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: ops.Padding = "valid"
    depth_multiplier: int = 1
    dilation: tuple[int, int] = (1, 1)
    use_bias: bool = True
    depthwise_init: Initializer = "glorot_uniform"
    pointwise_init: Initializer = "glorot_uniform"
    bias_init: Initializer = "zeros"
    implementation: ops.Implementation | None = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch height width channels"]
    ) -> Float[Array, "*batch out_height out_width {self.features}"]:
        """Convolve images."""
        _require_sizes(self)
        require_whole("[1, inf)", features=self.features)
        channels = x.shape[-1]
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        start = initializers.get(self.depthwise_init)
        depthwise = self.param("depthwise_kernel", start, shape)
        shape = (1, 1, channels * self.depth_multiplier, self.features)
        start = initializers.get(self.pointwise_init)
        pointwise = self.param("pointwise_kernel", start, shape)
        y = _depthwise(self, x, depthwise)
        y, pointwise = promote_dtype(y, pointwise)
        y = ops.conv(y, pointwise, implementation=self.implementation)
        return add_bias(self, y) if self.use_bias else y


def _require_sizes(layer: DepthwiseConv2D | SeparableConv2D) -> None:
    multiplier = layer.depth_multiplier
    require_whole(
        "[1, inf)", kernel_size=layer.kernel_size, depth_multiplier=multiplier
    )


def _depthwise(
    layer: DepthwiseConv2D | SeparableConv2D,
    x: Float[Array, "*batch height width channels"],
    kernel: Float[Array, "kernel_height kernel_width channels multiplier"],
) -> Float[Array, "*batch out_height out_width features"]:
    x, kernel = promote_dtype(x, kernel)
    height, width, channels, multiplier = kernel.shape
    return ops.conv(
        x,
        kernel.reshape(height, width, 1, channels * multiplier),
        strides=layer.strides,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=channels,
        implementation=layer.implementation,
    )

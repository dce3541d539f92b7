"""The convolutional layer."""

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Float

from fdl import ops
from fdl.arrays import Array


class Conv2D(nn.Module):
    """Convolution with a bias (LeCun et al., 1989), as Keras' `Conv2D`.

    Kernels start from Glorot's uniform distribution, biases from zero, and padding is
    `"valid"` unless asked for: as in Keras, not as in Linen.

    Attributes:
        features: Number of kernels, at least 1.
        kernel_size: Height and width of a kernel, in pixels.
        strides: Step of the window down and across, in pixels.
        padding: `"valid"` or `"same"`.
        implementation: Lowering, see `fdl.ops.conv`; None chooses by platform.

    Example:
        >>> import jax
        >>> layer = Conv2D(features=32, kernel_size=(3, 3))
        >>> x = jnp.ones((2, 28, 28, 1))
        >>> variables = layer.init(jax.random.key(0), x)
        >>> layer.apply(variables, x).shape
        (2, 26, 26, 32)
    """

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: ops.Padding = "valid"
    implementation: ops.Implementation | None = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "*batch height width channels"]
    ) -> Float[Array, "*batch out_height out_width {self.features}"]:
        """Convolve images."""
        shape = (*self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.glorot_uniform(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        x, kernel, bias = promote_dtype(x, kernel, bias)
        y = ops.conv(
            x,
            kernel,
            strides=self.strides,
            padding=self.padding,
            implementation=self.implementation,
        )
        # Spelled out, since implicit rank promotion is an error in the tests.
        return y + jnp.broadcast_to(bias, y.shape)

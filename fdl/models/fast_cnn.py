"""A convolutional network that learns digits in seconds, after LeCun et al. (1998).

Parameters on 28x28x1:

- `FastCNN(num_classes=10)`: 108,730

Differences from the paper:

- A convolution with stride 2 replaces the first pooling.
- Layers, kernels and widths are other than those of LeNet-5.
- The activation is ReLU instead of tanh; it follows the pooling, which computes the
  same function for a quarter of the work.
"""

from typing import ClassVar

import flax.linen as linen
from jaxtyping import Float

from fdl import nn
from fdl.arrays import Array
from fdl.models.sizes import Sizes
from fdl.ranges import require_length, require_whole


class FastCNN(linen.Module):
    """Convolutional classifier that is quick to train (after LeCun et al., 1998).

    A 4x4 convolution with stride 2 replaces the first pooling; a 3x3 convolution, 2x2
    max pooling and two dense layers follow. ReLU comes after the pooling, where it
    computes the same function for a quarter of the work.

    Attributes:
        num_classes: Number of classes, at least 2; or 1, for a single logit.
        features: Number of kernels of each of the two convolutions.
        hidden_size: Width of the hidden dense layer.

    Raises:
        ValueError: If the images are smaller than 10 pixels.

    Example:
        >>> import jax
        >>> model = FastCNN(num_classes=10)
        >>> images = jax.numpy.ones((2, 28, 28, 1))
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), images)
        >>> jax.eval_shape(model.apply, variables, images).shape
        (2, 10)
    """

    num_classes: int
    features: tuple[int, int] = (16, 32)
    hidden_size: int = 128

    sizes: ClassVar = Sizes(10)

    @linen.compact
    def __call__(
        self,
        image: Float[Array, "*batch height width channels"],
        *,
        train: bool = False,
    ) -> Float[Array, "*batch {self.num_classes}"]:
        """Return the logits of images in [0, 1]; `train` has no effect."""
        require_whole("[1, inf)", num_classes=self.num_classes)
        require_length(2, features=self.features)
        first, second = self.features
        x = nn.relu(nn.Conv2D(first, (4, 4), strides=(2, 2), name="conv1")(image))
        x = nn.Conv2D(second, (3, 3), name="conv2")(x)
        x = nn.relu(nn.max_pool(x, (2, 2)))
        x = x.reshape(*x.shape[:-3], -1)
        x = nn.relu(nn.Dense(self.hidden_size, name="dense")(x))
        return nn.Dense(self.num_classes, name="head")(x)

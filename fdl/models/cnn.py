"""The small convolutional network of TensorFlow's tutorials, after LeCun et al. (1998).

Parameters on 28x28x1:

- `CNN(num_classes=10)`: 93,322

Differences from the paper:

- There are three 3x3 convolutions and two dense layers, as in TensorFlow's tutorial.
- The activation is ReLU instead of tanh.
- Pooling takes the maximum instead of the average.
"""

from typing import ClassVar

import flax.linen as linen
from jaxtyping import Float

from fdl import nn
from fdl.arrays import Array
from fdl.models.sizes import Sizes
from fdl.ranges import require_length, require_whole


class CNN(linen.Module):
    """Convolutional classifier of small images (LeCun et al., 1998, Proc. IEEE 86(11)).

    Three 3x3 convolutions with ReLU, the first two followed by 2x2 max pooling, then
    two dense layers: the model of TensorFlow's introductory tutorial, layer by layer.

    Attributes:
        num_classes: Number of classes, at least 2; or 1, for a single logit.
        features: Number of kernels of each of the three convolutions.
        hidden_size: Width of the hidden dense layer.

    Raises:
        ValueError: If the images are smaller than 18 pixels, too small for three
            convolutions and two poolings.

    Example:
        >>> import jax
        >>> model = CNN(num_classes=10)
        >>> images = jax.numpy.ones((2, 28, 28, 1))
        >>> variables = model.init(jax.random.key(0), images)
        >>> model.apply(variables, images).shape
        (2, 10)

        The input of the last layer is available as an intermediate:

        >>> _, extra = model.apply(variables, images, mutable=["intermediates"])
        >>> extra["intermediates"]["features"][0].shape
        (2, 64)
    """

    num_classes: int
    features: tuple[int, int, int] = (32, 64, 64)
    hidden_size: int = 64

    sizes: ClassVar = Sizes(18)

    @linen.compact
    def __call__(
        self,
        image: Float[Array, "*batch height width channels"],
        *,
        train: bool = False,
    ) -> Float[Array, "*batch {self.num_classes}"]:
        """Return the logits of images in [0, 1]; `train` has no effect."""
        require_whole("[1, inf)", num_classes=self.num_classes)
        require_length(3, features=self.features)
        first, second, third = self.features
        x = nn.relu(nn.Conv2D(first, (3, 3), name="conv1")(image))
        x = nn.max_pool(x, (2, 2))
        x = nn.relu(nn.Conv2D(second, (3, 3), name="conv2")(x))
        x = nn.max_pool(x, (2, 2))
        x = nn.relu(nn.Conv2D(third, (3, 3), name="conv3")(x))
        x = x.reshape(*x.shape[:-3], -1)
        x = nn.relu(nn.Dense(self.hidden_size, name="dense")(x))
        self.sow("intermediates", "features", x)
        return nn.Dense(self.num_classes, name="head")(x)

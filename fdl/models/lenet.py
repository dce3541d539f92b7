"""LeNet-5 (LeCun et al., 1998).

Parameters on 32x32x1, or on 28x28x1 with a border of 2:

- `LeNet5(10)`: 60,850, and 900 that the connection table masks
- `LeNet5(10, modern=True)`: 61,706

The paper counts 60,000: these without the 850 of the last layer.

Differences from the paper:

- The last layer is dense and learned, for softmax; the paper measures distances to
  fixed pictures of digits.
- Subsampling averages pixels, where the paper adds them: its coefficient has another
  scale.
- Weights are drawn from other initial distributions.
- Images above 32 pixels are accepted; their feature maps are averaged before F6.
"""

import flax.linen as linen
import jax.numpy as jnp
import numpy as np
from flax.linen.dtypes import promote_dtype
from jaxtyping import Float

from fdl import nn, ops
from fdl.arrays import Array
from fdl.models.backbone import Backbone, Stages
from fdl.models.sizes import Sizes
from fdl.nn.conv import add_bias
from fdl.ranges import require_whole

# Table I of the paper: which of the six maps of S2 each of the sixteen of C3 sees.
_SEEN = [
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5)),
    *((0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
]
CONNECTIONS = np.stack([np.isin(np.arange(6), maps) for maps in _SEEN], axis=1)
"""Connection table: whether a map of C3 (column) sees a map of S2 (row)."""


def squash(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return `1.7159 tanh(2 x / 3)`, which is near 1 at 1 and -1 at -1.

    Example:
        >>> squash(jnp.array([-1.0, 0.0, 1.0])).round(3)
        Array([-1.,  0.,  1.], dtype=float32)
    """
    return 1.7159 * jnp.tanh(2 / 3 * x)


class TableConv2D(linen.Module):
    """5x5 convolution in which each map sees only some of the channels.

    Attributes:
        bias_init: Initializer of the bias.
    """

    bias_init: nn.initializers.Initializer = "zeros"

    @linen.compact
    def __call__(
        self, x: Float[Array, "*batch height width 6"]
    ) -> Float[Array, "*batch out_height out_width 16"]:
        """Convolve with a kernel that is zero where the table has no connection."""
        shape = (5, 5, *CONNECTIONS.shape)
        kernel = self.param("kernel", nn.initializers.GlorotUniform(), shape)
        x, kernel = promote_dtype(x, kernel)
        table = np.broadcast_to(CONNECTIONS, shape)
        return add_bias(self, ops.conv(x, jnp.where(table, kernel, 0)))


class LeNet5(Backbone):
    """Classifier of digits (LeCun et al., 1998, Proc. IEEE 86(11), section II.B).

    Two 5x5 convolutions, each followed by 2x2 subsampling, a third whose map is one
    pixel, and two dense layers. In the paper's form, a scaled tanh follows each layer,
    subsampling has a coefficient and a bias for each map, and each map of C3 sees only
    some maps. The modern form, found in textbooks, has ReLU, average pooling, and no
    connection table.

    Attributes:
        num_classes: Number of classes, at least 2; or 1, for a single logit.
        include_top: Whether to classify; otherwise the model returns features.
        pooling: `"avg"` or `"max"` for one feature per channel; None for the whole map.
        modern: Whether to use the modern form.
        border: Pixels of background added on each side, at least 0; 2 turns 28x28
            images into 32x32.

    Raises:
        ValueError: If images are smaller than 32 pixels, including the border.

    Example:
        >>> import functools, jax
        >>> model = LeNet5(num_classes=10, border=2)
        >>> images = jax.numpy.ones((2, 28, 28, 1))
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), images)
        >>> jax.eval_shape(model.apply, variables, images).shape
        (2, 10)
        >>> apply = functools.partial(model.apply, method="features")
        >>> stages = jax.eval_shape(apply, variables, images)
        >>> {stride: x.shape for stride, x in stages.items()}
        {1: (2, 28, 28, 6), 2: (2, 10, 10, 16), 4: (2, 1, 1, 120)}
    """

    modern: bool = False
    border: int = 0

    @property
    def sizes(self) -> Sizes:
        """Image sizes large enough for C5."""
        return Sizes(max(1, 32 - 2 * self.border))

    def setup(self) -> None:
        """Check the border, and define the dense layers."""
        require_whole("[0, inf)", border=self.border)
        super().setup()
        self.f6 = nn.Dense(84)

    @linen.compact
    def stages(self, image: Array, *, train: bool) -> Stages:
        """Compute C1, C3 and C5."""
        x = nn.zero_pad(image, self.border)
        act = nn.relu if self.modern else squash
        if not self.modern:
            x = 1.275 * x - 0.1  # background -0.1, ink 1.175: about mean 0, variance 1
        c1 = act(nn.Conv2D(6, (5, 5), name="c1")(x))
        third = nn.Conv2D(16, (5, 5)) if self.modern else TableConv2D()
        c3 = act(third.clone(name="c3", parent=self)(self._subsample(c1, "s2")))
        x = self._subsample(c3, "s4")
        c5 = act(nn.Conv2D(120, (5, 5), name="c5")(x))
        return {1: c1, 2: c3, 4: c5}

    def head(self, x: Array, *, train: bool) -> Array:
        """Return the logits of C5."""
        x = self.f6(nn.global_avg_pool(x))
        return self.predictions(nn.relu(x) if self.modern else squash(x))

    def _subsample(self, x: Array, name: str) -> Array:
        x = nn.avg_pool(x, (2, 2))
        if self.modern:
            return x
        # A depthwise 1x1 convolution is one coefficient and one bias for each map.
        return squash(nn.DepthwiseConv2D((1, 1), kernel_init="ones", name=name)(x))

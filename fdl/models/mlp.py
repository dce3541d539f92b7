"""The multilayer perceptron (Rumelhart et al., 1986).

Parameters on 28x28x1:

- `MLP(num_classes=10)`: 101,770

The defaults are the first model of TensorFlow's beginner's guide.

Differences from the paper:

- The activation is ReLU instead of the logistic function.
"""

import flax.linen as linen
from jaxtyping import Float

from fdl import nn
from fdl.arrays import Array, Number
from fdl.ranges import require_whole


class MLP(linen.Module):
    """Dense layers with ReLU (Rumelhart et al., 1986, Nature 323).

    Inputs with three or more axes are images, which are flattened; others are vectors
    of features.

    Attributes:
        num_classes: Number of classes, at least 2; or 1, for a single logit.
        hidden_sizes: Widths of the hidden layers; empty for softmax regression.
        dropout_rate: Fraction of the hidden values dropped in training, in [0, 1)
            (Srivastava et al., 2014); needs the random key `dropout` if above 0.

    Example:
        >>> import jax
        >>> model = MLP(num_classes=10, hidden_sizes=(32,))
        >>> images = jax.numpy.ones((2, 28, 28, 1))
        >>> variables = model.init(jax.random.key(0), images)
        >>> model.apply(variables, images).shape
        (2, 10)
        >>> vectors = jax.numpy.ones((2, 7))
        >>> model.apply(model.init(jax.random.key(0), vectors), vectors).shape
        (2, 10)
    """

    num_classes: int
    hidden_sizes: tuple[int, ...] = (128,)
    dropout_rate: Number = 0.0

    @linen.compact
    def __call__(
        self,
        inputs: Float[Array, "*batch height width channels"]
        | Float[Array, "*batch features"],
        *,
        train: bool = False,
    ) -> Float[Array, "*batch {self.num_classes}"]:
        """Return the logits of images in [0, 1], or of vectors of features."""
        require_whole("[1, inf)", num_classes=self.num_classes)
        x = inputs if inputs.ndim < 3 else inputs.reshape(*inputs.shape[:-3], -1)
        for layer, features in enumerate(self.hidden_sizes, start=1):
            x = nn.relu(nn.Dense(features, name=f"dense{layer}")(x))
            x = nn.Dropout(self.dropout_rate)(x, train=train)
        return nn.Dense(self.num_classes, name="head")(x)

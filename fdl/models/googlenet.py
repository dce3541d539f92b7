"""GoogLeNet, the first Inception network (Szegedy et al., 2015).

Parameters for 1000 classes, on 224x224x3:

- `GoogLeNet`: 13,378,280
- `GoogLeNet` with `auxiliary=()`, without the two auxiliary heads: 6,998,552

As in the paper, the third branch has 5x5 kernels (PyTorch's and its descendants have
3x3), convolutions have biases, and there is local response normalization but no batch
normalization. The paper does not give the constants of local response normalization;
they are AlexNet's.

Differences from the paper:

- Weights are drawn from Keras' initial distributions.
- Max pooling uses `"same"` padding, which matters only for maps of odd sizes; at 224
  pixels there are none.
"""

from typing import Any, NamedTuple

import flax.linen as linen
import jax.numpy as jnp
from jaxtyping import Float

from fdl import nn
from fdl.arrays import Array, Number, PyTree
from fdl.models.backbone import Backbone, Stages, conv2d, pooled, require_size
from fdl.models.sizes import Sizes
from fdl.ranges import require_length, require_number, require_whole


class Widths(NamedTuple):
    """An Inception module: its name, and the kernels of each of its convolutions.

    Attributes:
        name: Name, such as `4a`; max pooling precedes a change of its first character.
        one: The 1x1 branch.
        reduce3: The 1x1 convolution before the 3x3 one.
        three: The 3x3 branch.
        reduce5: The 1x1 convolution before the 5x5 one.
        five: The 5x5 branch.
        projection: The 1x1 convolution after max pooling.
    """

    name: str
    one: int
    reduce3: int
    three: int
    reduce5: int
    five: int
    projection: int


MODULES = (
    Widths("3a", 64, 96, 128, 16, 32, 32),
    Widths("3b", 128, 128, 192, 32, 96, 64),
    Widths("4a", 192, 96, 208, 16, 48, 64),
    Widths("4b", 160, 112, 224, 24, 64, 64),
    Widths("4c", 128, 128, 256, 24, 64, 64),
    Widths("4d", 112, 144, 288, 32, 64, 64),
    Widths("4e", 256, 160, 320, 32, 128, 128),
    Widths("5a", 256, 160, 320, 32, 128, 128),
    Widths("5b", 384, 192, 384, 48, 128, 128),
)
"""Table 1 of the paper."""


class Inception(linen.Module):
    """Four parallel branches over the same maps (Szegedy et al., 2015, figure 2b).

    Attributes:
        widths: Number of kernels of each convolution.
    """

    widths: Widths

    @linen.compact
    def __call__(
        self, x: Float[Array, "*batch height width channels"]
    ) -> Float[Array, "*batch height width features"]:
        """Return the maps of all branches: 1x1, 3x3, 5x5, pooling."""
        w = self.widths
        three = conv(w.three, 3, "3x3", conv(w.reduce3, 1, "3x3_reduce", x))
        five = conv(w.five, 5, "5x5", conv(w.reduce5, 1, "5x5_reduce", x))
        around = nn.max_pool(x, (3, 3), strides=(1, 1), padding="same")
        projection = conv(w.projection, 1, "projection", around)
        branches = [conv(w.one, 1, "1x1", x), three, five, projection]
        return jnp.concatenate(branches, axis=-1)


class AuxiliaryHead(linen.Module):
    """Classifier of intermediate maps, which brings gradients to the first layers.

    Attributes:
        num_classes: Number of classes.
        features: Number of kernels of its convolution.
        hidden_size: Width of its dense layer.
        dropout_rate: Fraction of the dense layer dropped in training.
    """

    num_classes: int
    features: int
    hidden_size: int
    dropout_rate: Number

    @linen.compact
    def __call__(
        self, x: Float[Array, "*batch height width channels"], *, train: bool
    ) -> Float[Array, "*batch classes"]:
        """Return the logits."""
        x = nn.avg_pool(x, (5, 5), strides=(3, 3))
        x = conv(self.features, 1, "conv", x)
        x = nn.relu(nn.Dense(self.hidden_size, name="dense")(_flat(x)))
        x = nn.Dropout(self.dropout_rate)(x, train=train)
        return nn.Dense(self.num_classes, name="predictions")(x)


class GoogLeNet(Backbone):
    """Inception modules with auxiliary heads (Szegedy et al., 2015, arXiv:1409.4842).

    In training, the model returns a tuple of its logits and those of the auxiliary
    heads, for `fdl.learners.supervised(..., loss_weights=(1.0, 0.3, 0.3))`. Otherwise
    the auxiliary heads are not computed.

    Attributes:
        num_classes: Number of classes, at least 2; or 1, for a single logit.
        include_top: Whether to classify; otherwise the model returns features, and has
            no heads.
        pooling: `"avg"` or `"max"` for one feature per channel; None for the whole map.
        modules: The Inception modules, in order.
        auxiliary: Names of the modules that an auxiliary head follows.
        stem: Number of kernels of the three convolutions before the modules.
        stem_stride: Stride of the first of them, the 7x7 one; 1 for small images.
        auxiliary_size: Number of kernels and width of an auxiliary head.
        dropout_rate: Fraction of the last features dropped in training, in [0, 1);
            needs the random key `dropout` if above 0.
        auxiliary_dropout_rate: Dropout rate of the auxiliary heads, in [0, 1).

    Raises:
        ValueError: If images leave an auxiliary head fewer than 5x5 pixels (below 65
            pixels in the paper's network), or an option is out of range.

    Example:
        >>> import jax
        >>> model = GoogLeNet(num_classes=10)
        >>> images = jax.numpy.ones((2, 96, 96, 3))
        >>> variables = jax.eval_shape(model.init, jax.random.key(0), images)
        >>> jax.eval_shape(model.apply, variables, images).shape
        (2, 10)
    """

    modules: tuple[Widths, ...] = MODULES
    auxiliary: tuple[str, ...] = ("4a", "4d")
    stem: tuple[int, int, int] = (64, 64, 192)
    stem_stride: int = 2
    auxiliary_size: tuple[int, int] = (128, 1024)
    dropout_rate: Number = 0.4
    auxiliary_dropout_rate: Number = 0.7

    @property
    def sizes(self) -> Sizes:
        """Image sizes large enough for the pooling of the auxiliary heads."""
        if not (self.include_top and self.auxiliary):
            return Sizes()
        stages = [*dict.fromkeys(widths.name[0] for widths in self.modules)]
        halvings = [2 + stages.index(name[0]) for name in self.auxiliary]
        return Sizes((4 * self.stem_stride << max(halvings)) + 1)

    def setup(self) -> None:
        """Check the options, and define the heads."""
        if not self.modules:
            raise ValueError("modules=() must have at least one module.")
        names = [widths.name for widths in self.modules]
        for name in self.auxiliary:
            if name not in names:
                raise ValueError(
                    f"auxiliary={self.auxiliary} contains {name!r}, which is not a "
                    f"module; choose from {', '.join(names)}."
                )
        require_whole("[1, inf)", stem=self.stem, stem_stride=self.stem_stride)
        require_whole("[1, inf)", auxiliary_size=self.auxiliary_size)
        require_length(3, stem=self.stem)
        require_length(2, auxiliary_size=self.auxiliary_size)
        require_number("[0, 1)", dropout_rate=self.dropout_rate)
        require_number("[0, 1)", auxiliary_dropout_rate=self.auxiliary_dropout_rate)
        super().setup()
        self.dropout = nn.Dropout(self.dropout_rate)
        rate = self.auxiliary_dropout_rate
        self.heads: Any = [
            AuxiliaryHead(
                self.num_classes, *self.auxiliary_size, rate, name=f"auxiliary{i}"
            )
            for i, _ in enumerate(self.auxiliary, 1)
        ]

    def __call__(
        self,
        image: Float[Array, "*batch height width channels"],
        *,
        train: bool = False,
    ) -> PyTree:
        """Return the logits; with `train`, a tuple with those of auxiliary heads."""
        require_size(self, image)
        stages, seen = self._maps(image)
        *_, last = stages.values()
        if not self.include_top:
            return pooled(last, self.pooling)
        logits = self.head(last, train=train)
        if not self.heads or not (train or self.is_initializing()):
            return logits
        pairs = zip(self.heads, seen, strict=True)
        return (logits, *(head(x, train=train) for head, x in pairs))

    def stages(self, image: Array, *, train: bool) -> Stages:
        """Compute the feature maps."""
        return self._maps(image)[0]

    def head(self, x: Array, *, train: bool) -> Array:
        """Return the logits of the last feature map."""
        return self.predictions(self.dropout(nn.global_avg_pool(x), train=train))

    @linen.compact
    def _maps(self, image: Array) -> tuple[Stages, list[Array]]:
        """Return the feature maps by stride, and the inputs of the auxiliary heads."""
        first, second, third = self.stem
        step = self.stem_stride
        x = conv(first, 7, "conv1", image, stride=step)
        stages, seen = {step: x}, {}
        x = nn.local_response_norm(_halved(x))
        x = conv(third, 3, "conv2", conv(second, 1, "conv2_reduce", x))
        stages[2 * step] = x
        x = _halved(nn.local_response_norm(x))
        step, stage = 4 * step, self.modules[0].name[0]
        for widths in self.modules:
            if widths.name[0] != stage:
                x, step, stage = _halved(x), 2 * step, widths.name[0]
            x = Inception(widths, name=f"inception{widths.name}")(x)
            stages[step] = seen[widths.name] = x
        return stages, [seen[name] for name in self.auxiliary]


def conv(features: int, size: int, name: str, x: Array, stride: int = 1) -> Array:
    """Convolve with zero padding, and apply ReLU."""
    return nn.relu(conv2d(x, features, size, stride, name=name))


def _halved(x: Array) -> Array:
    return nn.max_pool(x, (3, 3), strides=(2, 2), padding="same")


def _flat(x: Array) -> Array:
    return x.reshape(*x.shape[:-3], -1)

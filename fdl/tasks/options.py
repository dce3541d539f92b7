"""Options of the tasks on images and numbers; `fdl train` takes them, too."""

import dataclasses
from typing import Any, Literal

from fdl.plain import Number
from fdl.ranges import require_depth, require_number, require_whole

_MOST_LAYERS = 256  # of one model; more take minutes to compile
_WIDEST = 100_000

Architecture = Literal["dense", "conv"]
"""Layers of an autoencoder."""


@dataclasses.dataclass(frozen=True)
class CNNOptions:
    """Settings of the convolutional network.

    Attributes:
        features: Number of filters of each of the three convolutions.
        hidden_size: Width of the dense layer before the output.
    """

    features: tuple[int, int, int] = (32, 64, 64)
    hidden_size: int = 64

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_widths(features=self.features, hidden_size=self.hidden_size)


@dataclasses.dataclass(frozen=True)
class LeNet5Options:
    """Settings of LeNet-5.

    Attributes:
        modern: The textbook version, with ReLU, plain average pooling, and no
            connection table.
    """

    modern: bool = False


@dataclasses.dataclass(frozen=True)
class AlexNetOptions:
    """Settings of AlexNet for small images.

    Attributes:
        widths: Number of filters of each of the five convolutions.
        hidden_size: Width of the two dense layers before the output.
        response_norm: Whether to use local response normalization.
        dropout_rate: Fraction of the dense units dropped in training, in [0, 1).
    """

    widths: tuple[int, int, int, int, int] = (32, 64, 96, 96, 64)
    hidden_size: int = 256
    response_norm: bool = True
    dropout_rate: float = 0.5

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_widths(widths=self.widths, hidden_size=self.hidden_size)
        require_number("[0, 1)", dropout_rate=self.dropout_rate)


@dataclasses.dataclass(frozen=True)
class ResNetOptions:
    """Settings of the residual network.

    Attributes:
        depth: Number of layers, 6n + 2 for n blocks per stage: 8, 14, 20, ...
        width: Channels of the first stage, doubled at each later stage.
        shortcut: How shortcuts change shape: with zeros for new channels (`A`), or with
            a 1x1 convolution (`B`); `none` for a plain network without shortcuts.
        preactivation: Normalize before convolutions (He et al., 2016), not after them.
        se: Use squeeze-and-excitation gates on channels, with a ratio of 16.
    """

    depth: int = 8
    width: int = 16
    shortcut: Literal["A", "B", "none"] = "B"
    preactivation: bool = False
    se: bool = False

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_whole(f"[8, {_MOST_LAYERS}]", depth=self.depth)
        require_depth(self.depth, 6, 2, "blocks a stage")
        require_widths(width=self.width)
        if self.se and self.width < 16:
            raise ValueError(
                f"width={self.width} must be at least 16 for se, whose gates have one "
                "hidden unit per 16 channels."
            )


@dataclasses.dataclass(frozen=True)
class VGGOptions:
    """Settings of VGG.

    Attributes:
        block_sizes: Number of convolutions in each block.
        widths: Number of channels in each block.
        hidden_sizes: Widths of the dense layers before the output.
        batch_norm: Use batch normalization, which the paper does not have.
        dropout_rate: Fraction dropped in training before each dense layer except the
            first, in [0, 1).
    """

    block_sizes: tuple[int, ...] = (1, 1, 2, 2)
    widths: tuple[int, ...] = (16, 32, 64, 128)
    hidden_sizes: tuple[int, ...] = (128,)
    batch_norm: bool = True
    dropout_rate: Number = 0.5

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_widths(widths=self.widths, hidden_sizes=self.hidden_sizes)
        require_layers(block_sizes=self.block_sizes)
        if len(self.block_sizes) != len(self.widths):
            raise ValueError(
                f"widths={self.widths} must have as many entries as "
                f"block_sizes={self.block_sizes}."
            )
        require_number("[0, 1)", dropout_rate=self.dropout_rate)


@dataclasses.dataclass(frozen=True)
class DenseNetOptions:
    """Settings of the densely connected network.

    Attributes:
        depth: Number of layers, 6n + 4 for n layers per block: 10, 16, 22, ...; 3n + 4
            with `--no-bc`.
        growth_rate: Number of channels that each layer adds.
        bc: Whether to use bottlenecks, and compression after each block.
    """

    depth: int = 22
    growth_rate: int = 12
    bc: bool = True

    def __post_init__(self) -> None:
        """Check the numbers."""
        each = 6 if self.bc else 3
        require_whole(f"[{each + 4}, {_MOST_LAYERS}]", depth=self.depth)
        require_depth(self.depth, each, 4, "layers a block")
        require_widths(growth_rate=self.growth_rate)


@dataclasses.dataclass(frozen=True)
class GoogLeNetOptions:
    """Settings of GoogLeNet for small images.

    Attributes:
        auxiliary: Whether to train with auxiliary heads.
        dropout_rate: Fraction of the last features dropped in training, in [0, 1).
    """

    auxiliary: bool = True
    dropout_rate: Number = 0.4

    def __post_init__(self) -> None:
        """Check the number."""
        require_number("[0, 1)", dropout_rate=self.dropout_rate)


@dataclasses.dataclass(frozen=True)
class MLPOptions:
    """Settings of the multilayer perceptron.

    Attributes:
        hidden_sizes: Widths of the hidden layers, in order.
        dropout_rate: Fraction of the hidden units dropped in training, in [0, 1).
    """

    hidden_sizes: tuple[int, ...] = (128,)
    dropout_rate: Number = 0.2

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_widths(hidden_sizes=self.hidden_sizes)
        require_number("[0, 1)", dropout_rate=self.dropout_rate)


@dataclasses.dataclass(frozen=True)
class RecurrentOptions:
    """Settings of recurrent classifiers.

    Attributes:
        steps: Input at each time step: a row of the image, or a pixel.
        permute: Read the pixels of all images in the same random order, which separates
            neighbors (Le et al., 2015, "permuted MNIST").
        permutation: Seed of that order, independent of `seed`.
        hidden_size: Width of each layer's state, at least 1.
        num_layers: Number of layers, at least 1.
        bidirectional: Also read from end to beginning, with layers of their own.
        dropout_rate: Fraction of each layer's outputs dropped in training, in [0, 1).
    """

    steps: Literal["rows", "pixels"] = "rows"
    permute: bool = False
    permutation: int = 0
    hidden_size: int = 128
    num_layers: int = 1
    bidirectional: bool = False
    dropout_rate: Number = 0.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.permute and self.steps != "pixels":
            raise ValueError(
                f"permute=True needs pixels, but steps={self.steps!r}: use "
                "steps='pixels' (--steps pixels)."
            )
        require_whole(f"[0, {2**32 - 1}]", permutation=self.permutation)
        require_widths(hidden_size=self.hidden_size)
        require_layers(num_layers=self.num_layers)
        require_number("[0, 1)", dropout_rate=self.dropout_rate)


@dataclasses.dataclass(frozen=True)
class AutoencoderOptions:
    """Settings of the autoencoder.

    Attributes:
        architecture: Dense or convolutional layers.
        hidden_sizes: Widths of the encoder's dense layers, in reverse order in the
            decoder. Convolutional layers have fixed sizes.
        latent_size: Size of a code.
        noise: Fraction of the pixels set to 0 in the model's input, in [0, 1); above 0
            for a denoising autoencoder.
    """

    architecture: Architecture = "dense"
    hidden_sizes: tuple[int, ...] = (400, 400)
    latent_size: int = 20
    noise: Number = 0.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_widths(hidden_sizes=self.hidden_sizes, latent_size=self.latent_size)
        require_number("[0, 1)", noise=self.noise)


@dataclasses.dataclass(frozen=True)
class VAEOptions:
    """Settings of the variational autoencoder.

    Attributes:
        architecture: Dense or convolutional layers.
        hidden_sizes: Widths of the encoder's dense layers, in reverse order in the
            decoder. Convolutional layers have fixed sizes.
        latent_size: Number of latent variables.
        beta: Weight of the divergence from the prior; 1 for the ELBO itself.
        free_bits: Nats per latent that are free of penalty.
        samples: Samples per image for the importance-weighted bound, measured at the
            end.
    """

    architecture: Architecture = "dense"
    hidden_sizes: tuple[int, ...] = (400, 400)
    latent_size: int = 20
    beta: Number = 1.0
    free_bits: Number = 0.0
    samples: int = 500

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_widths(hidden_sizes=self.hidden_sizes, latent_size=self.latent_size)
        require_number("[0, inf)", beta=self.beta, free_bits=self.free_bits)
        require_whole(f"[1, {_WIDEST}]", samples=self.samples)


@dataclasses.dataclass(frozen=True)
class GANOptions:
    """Settings of a generative adversarial network.

    Attributes:
        architecture: Deep convolutional networks (`dcgan`), or a single dense layer
            each (`dense`).
        loss: Adversarial loss.
        latent_size: Size of the latent vector.
        width: Channels of DCGAN's layers at half the image size; twice as many at a
            quarter of it.
        dropout_rate: Fraction of the units dropped in DCGAN's discriminator, in [0, 1).
        discriminator_steps: Updates of the discriminator per update of the generator.
        ema_decay: Decay per step of the moving average of the generator's parameters;
            0 for no average.
    """

    architecture: Literal["dcgan", "dense"] = "dcgan"
    loss: Literal["minimax", "non_saturating", "least_squares", "wasserstein_gp"] = (
        "non_saturating"
    )
    latent_size: int = 64
    width: int = 16
    dropout_rate: Number = 0.3
    discriminator_steps: int = 1
    ema_decay: Number = 0.999

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_widths(latent_size=self.latent_size, width=self.width)
        require_number("[0, 1)", dropout_rate=self.dropout_rate)
        require_number("[0, 1)", ema_decay=self.ema_decay)
        require_layers(discriminator_steps=self.discriminator_steps)


@dataclasses.dataclass(frozen=True)
class TransformerOptions:
    """Settings of the vision Transformer.

    Attributes:
        patch_size: Height and width of a patch in pixels; must divide those of the
            images.
        features: Size of a patch embedding.
        num_layers: Number of blocks.
        num_heads: Number of attention heads; must divide `features`.
        hidden_size: Width between the two dense layers of a block.
        dropout_rate: Fraction of each sublayer's output dropped in training, in [0, 1).
        norm: Normalize before each sublayer (`pre`) or after it (`post`).
        pooling: Classify the mean of all patches, or a learned token.
    """

    patch_size: int = 7
    features: int = 64
    num_layers: int = 4
    num_heads: int = 4
    hidden_size: int = 128
    dropout_rate: Number = 0.0
    norm: Literal["pre", "post"] = "pre"
    pooling: Literal["mean", "token"] = "mean"

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_widths(patch_size=self.patch_size, hidden_size=self.hidden_size)
        require_blocks(self)


@dataclasses.dataclass(frozen=True)
class OwnModel:
    """Settings of a task that trains the user's own model.

    Attributes:
        model: Your model, `MODULE:NAME`: a Linen module, a function of `num_classes`
            that returns one, or an NNX class. Or a Keras file, .keras or .h5, from
            whose weights training starts.
    """

    model: str = ""


@dataclasses.dataclass(frozen=True)
class RegressOptions(OwnModel):
    """Settings of regression.

    Attributes:
        model: Your own model instead of the perceptron, `MODULE:NAME`: a Linen module
            that returns one number, or a function that returns the module. Or a Keras
            file, .keras or .h5, from whose weights training starts.
        hidden_sizes: Widths of the hidden layers; none for a linear model.
        dropout_rate: Fraction of the hidden units dropped in training, in [0, 1).
    """

    hidden_sizes: tuple[int, ...] = (64, 64)
    dropout_rate: Number = 0.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_widths(hidden_sizes=self.hidden_sizes)
        require_number("[0, 1)", dropout_rate=self.dropout_rate)


def require_widths(**widths: int | tuple[int, ...]) -> None:
    """Raise ValueError unless these are valid widths of layers.

    Example:
        >>> require_widths(hidden_size=0)
        Traceback (most recent call last):
        ValueError: hidden_size=0 must be in [1, 100000].
    """
    require_whole(f"[1, {_WIDEST}]", **widths)
    for name, given in widths.items():
        if isinstance(given, tuple) and len(given) > _MOST_LAYERS:
            raise ValueError(
                f"{name} has {len(given)} sizes: use at most {_MOST_LAYERS}."
            )


def require_layers(**counts: int | tuple[int, ...]) -> None:
    """Raise ValueError unless these are valid numbers of layers.

    Example:
        >>> require_layers(num_layers=0)
        Traceback (most recent call last):
        ValueError: num_layers=0 must be in [1, 256].
    """
    require_whole(f"[1, {_MOST_LAYERS}]", **counts)


def require_blocks(options: Any) -> None:
    """Raise ValueError unless these are valid settings of Transformer blocks.

    Args:
        options: Settings with `features`, `num_layers`, `num_heads`, `dropout_rate`.

    Example:
        >>> require_blocks(TransformerOptions())
    """
    require_widths(features=options.features)
    require_layers(num_layers=options.num_layers)
    require_whole("[1, inf)", num_heads=options.num_heads)
    if options.features % options.num_heads:
        raise ValueError(
            f"num_heads={options.num_heads} must divide features={options.features}."
        )
    require_number("[0, 1)", dropout_rate=options.dropout_rate)

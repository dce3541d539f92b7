"""Settings of the tasks on texts, pairs of texts, and music: flags of `fdl train`."""

import dataclasses
from typing import Literal

from fdl.plain import Number
from fdl.ranges import require_number, require_whole
from fdl.tasks.options import require_blocks, require_layers, require_widths


@dataclasses.dataclass(frozen=True)
class MusicOptions:
    """Settings of the model of music.

    Attributes:
        cell: Kind of recurrent layer: gated units, long short-term memory, or the
            simple network.
        hidden_size: Width of each layer's state, at least 1.
        num_layers: Number of layers, at least 1.
        dropout_rate: Fraction of each layer's outputs dropped in training, in [0, 1).
        length: Frames to predict in a row in training, at least 1; of a longer piece
            the parts are learned from one by one. Pieces are measured as a whole.
    """

    cell: Literal["gru", "lstm", "rnn"] = "gru"
    hidden_size: int = 150
    num_layers: int = 1
    dropout_rate: Number = 0.5
    length: int = 64

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_widths(hidden_size=self.hidden_size)
        require_layers(num_layers=self.num_layers)
        require_number("[0, 1)", dropout_rate=self.dropout_rate)
        require_whole("[1, inf)", length=self.length)


@dataclasses.dataclass(frozen=True)
class LanguageModelOptions:
    """Settings of the language model.

    Attributes:
        features: Width of a character's vector.
        num_layers: Number of blocks.
        num_heads: Heads of attention; must divide the features.
        dropout_rate: Fraction dropped of what each part of a block gives, in [0, 1).
        norm: Normalize before each part of a block (`pre`), or after it (`post`).
        positions: Learned vectors, or sinusoids.
        tied: Whether the output shares the table of vectors with the input.
    """

    features: int = 96
    num_layers: int = 3
    num_heads: int = 4
    dropout_rate: Number = 0.0
    norm: Literal["pre", "post"] = "pre"
    positions: Literal["learned", "sinusoidal"] = "learned"
    tied: bool = True

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_blocks(self)


@dataclasses.dataclass(frozen=True)
class TextCNNOptions:
    """Settings of the convolutional network for sentences.

    Attributes:
        features: Width of a word's vector.
        widths: Number of words in the windows of each convolution.
        maps: Number of features of each convolution.
        dropout_rate: Fraction of the features dropped in training, in [0, 1).
        max_norm: Largest norm of the weights of a class, above 0.
    """

    features: int = 128
    widths: tuple[int, ...] = (3, 4, 5)
    maps: int = 64
    dropout_rate: Number = 0.5
    max_norm: Number = 3.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_widths(features=self.features, widths=self.widths, maps=self.maps)
        require_number("[0, 1)", dropout_rate=self.dropout_rate)
        require_number("(0, inf)", max_norm=self.max_norm)


@dataclasses.dataclass(frozen=True)
class TextClassifierOptions:
    """Settings of the classifier of texts.

    Attributes:
        features: Width of a word's vector.
        num_layers: Number of blocks.
        num_heads: Heads of attention; must divide the features.
        dropout_rate: Fraction dropped of what each part of a block gives.
        norm: Normalize before each part of a block (`pre`), or after it (`post`).
        positions: Learned vectors, or sinusoids.
    """

    features: int = 64
    num_layers: int = 1
    num_heads: int = 4
    dropout_rate: Number = 0.3
    norm: Literal["pre", "post"] = "pre"
    positions: Literal["learned", "sinusoidal"] = "learned"

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_blocks(self)


@dataclasses.dataclass(frozen=True)
class Seq2SeqOptions:
    """Settings of the encoder-decoder.

    Attributes:
        cell: Recurrent layers of both halves.
        num_layers: Number of recurrent layers in each half.
        hidden_size: Width of the recurrent layers.
        features: Width of a token's vector.
        reverse: Whether the source is read from its end.
        context: When the decoder is given the summary of the source: `first`, as its
            state before the first step (Sutskever et al., 2014), or at `every` step
            (Cho et al., 2014).
        dropout_rate: Fraction of what goes into each layer dropped in training, in
            [0, 1).
    """

    cell: Literal["lstm", "gru"] = "lstm"
    num_layers: int = 1
    hidden_size: int = 256
    features: int = 64
    reverse: bool = True
    context: Literal["first", "every"] = "first"
    dropout_rate: Number = 0.2

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_widths(hidden_size=self.hidden_size, features=self.features)
        require_layers(num_layers=self.num_layers)
        require_number("[0, 1)", dropout_rate=self.dropout_rate)


@dataclasses.dataclass(frozen=True)
class AttentionOptions:
    """Settings of the encoder-decoder with attention.

    Attributes:
        hidden_size: Width of the recurrent layers; the encoder has one for each
            direction.
        features: Width of a token's vector.
        attention_size: Width of the layer that compares a state with the source.
        dropout_rate: Fraction of what goes into each layer dropped in training, in
            [0, 1).
    """

    hidden_size: int = 128
    features: int = 64
    attention_size: int = 128
    dropout_rate: Number = 0.2

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_widths(
            hidden_size=self.hidden_size,
            features=self.features,
            attention_size=self.attention_size,
        )
        require_number("[0, 1)", dropout_rate=self.dropout_rate)


@dataclasses.dataclass(frozen=True)
class TranslatorOptions:
    """Settings of the encoder-decoder Transformer.

    Attributes:
        num_layers: Number of blocks in each half.
        features: Width of a token's vector.
        num_heads: Heads of attention; must divide the features.
        dropout_rate: Fraction dropped of what each part of a block gives, in [0, 1).
        norm: Normalize before each part of a block (`pre`), or after it (`post`), as in
            the paper, which takes a warm-up.
    """

    num_layers: int = 3
    features: int = 128
    num_heads: int = 4
    dropout_rate: Number = 0.1
    norm: Literal["pre", "post"] = "pre"

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_blocks(self)

"""Options of the tasks on texts, pairs and music; `fdl train` takes them, too."""

import dataclasses
from typing import Literal

from fdl.plain import Number
from fdl.ranges import require_number, require_whole
from fdl.tasks.options import require_blocks, require_layers, require_widths


@dataclasses.dataclass(frozen=True)
class MusicOptions:
    """Settings of the model of music.

    Attributes:
        cell: Recurrent layer: gated recurrent unit, long short-term memory, or the
            simple one.
        hidden_size: Width of each layer's state, at least 1.
        num_layers: Number of layers, at least 1.
        dropout_rate: Fraction of each layer's outputs dropped in training, in [0, 1).
        length: Frames per training example, at least 1; longer pieces are cut into
            parts for training. Evaluation takes whole pieces.
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
        features: Size of a character embedding.
        num_layers: Number of blocks.
        num_heads: Number of attention heads; must divide `features`.
        dropout_rate: Fraction of each sublayer's output dropped in training, in [0, 1).
        norm: Normalize before each sublayer (`pre`) or after it (`post`).
        positions: Learned or sinusoidal position embeddings.
        tied: Whether the output layer shares the weights of the input embedding.
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
        features: Size of a word embedding.
        widths: Number of words in a window of each convolution.
        maps: Number of filters of each convolution.
        dropout_rate: Fraction of the features dropped in training, in [0, 1).
        max_norm: Largest norm of the head's weights for a class, above 0.
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
        features: Size of a word embedding.
        num_layers: Number of blocks.
        num_heads: Number of attention heads; must divide `features`.
        dropout_rate: Fraction of each sublayer's output dropped in training.
        norm: Normalize before each sublayer (`pre`) or after it (`post`).
        positions: Learned or sinusoidal position embeddings.
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
        cell: Recurrent layer of encoder and decoder.
        num_layers: Number of recurrent layers in each of them.
        hidden_size: Width of the recurrent layers.
        features: Size of a token embedding.
        reverse: Whether to read the source from its end.
        context: When the decoder gets the summary of the source: `first`, as its
            initial state (Sutskever et al., 2014), or at `every` step (Cho et al.,
            2014).
        dropout_rate: Fraction of each layer's inputs dropped in training, in [0, 1).
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
        features: Size of a token embedding.
        attention_size: Width of the layer that scores a state against the source.
        dropout_rate: Fraction of each layer's inputs dropped in training, in [0, 1).
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
        num_layers: Number of blocks in the encoder, and in the decoder.
        features: Size of a token embedding.
        num_heads: Number of attention heads; must divide `features`.
        dropout_rate: Fraction of each sublayer's output dropped in training, in [0, 1).
        norm: Normalize before each sublayer (`pre`) or after it (`post`), as in the
            paper, which needs a warm-up.
    """

    num_layers: int = 3
    features: int = 128
    num_heads: int = 4
    dropout_rate: Number = 0.1
    norm: Literal["pre", "post"] = "pre"

    def __post_init__(self) -> None:
        """Check the numbers."""
        require_blocks(self)

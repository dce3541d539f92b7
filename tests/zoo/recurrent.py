"""Recurrent models of sequences."""

import itertools
from functools import partial
from typing import Any

import numpy as np

from fdl import models
from zoo.case import Case, Epoch, Input
from zoo.epochs import digits


def _keras(
    kind: str,
    hidden_size: int = 128,
    num_layers: int = 1,
    *,
    bidirectional: bool = False,
    masked: bool = False,
) -> Any:
    """Return a model of 28 rows of 28 pixels; it also takes a mask if `masked`."""
    import keras

    layers = keras.layers
    x = rows = layers.Input((28, 28))
    given = layers.Input((28,), dtype="int32") if masked else None
    mask = keras.ops.cast(given, "bool") if masked else None
    for number in range(1, num_layers + 1):
        name, more = f"layer{number}", number < num_layers
        if bidirectional:
            one = getattr(layers, kind)(hidden_size, return_sequences=more)
            layer = layers.Bidirectional(one, name=name)
        else:
            layer = getattr(layers, kind)(hidden_size, return_sequences=more, name=name)
        x = layer(x, mask=mask)
    logits = layers.Dense(10, name="head")(x)
    return keras.Model([rows, given] if masked else rows, logits)


def _rows(*, masked: bool = False, steps: int = 20) -> Epoch:
    """Yield digits as 28 rows of 28; if `masked`, with masks that hide a fifth.

    There are only a few batches, since each step of each layer is slow in Keras.
    """
    rng = np.random.default_rng(1)
    for (image,), label in itertools.islice(digits((28, 28, 1), 10), steps):
        mask = (rng.random(image.shape[:2]) < 0.8).astype(np.int32)
        yield ((image[..., 0], mask) if masked else (image[..., 0],)), label


_ROWS = (Input((28, 28)),)
_MASKED_ROWS = (Input((28, 28)), Input((28,), below=2))


def _keras_music() -> Any:
    import keras

    layers = keras.layers
    frames = layers.Input((None, 28))
    x = layers.GRU(16, return_sequences=True, name="layer1")(frames)
    x = layers.GRU(16, return_sequences=True, name="layer2")(x)
    return keras.Model(frames, layers.Dense(28, name="head")(x))


def _next_rows() -> Epoch:
    """Yield digits as 27 rows of 28, each with the next row as its target."""
    for (image,), _ in itertools.islice(digits((28, 28, 1), 10), 20):
        rows = (image[..., 0] > 0.5).astype(np.float32)
        yield (rows[:, :-1],), [rows[:, 1:]]


CASES = [
    Case(
        "rnn",
        lambda: models.SimpleRNNClassifier(10),
        partial(_keras, "SimpleRNN"),
        _ROWS,
        21_386,
        classes=10,
        epoch=_rows,
    ),
    Case(
        "lstm",
        lambda: models.LSTMClassifier(10),
        partial(_keras, "LSTM"),
        _ROWS,
        81_674,
        classes=10,
        epoch=_rows,
    ),
    Case(
        "gru",
        lambda: models.GRUClassifier(10),
        partial(_keras, "GRU"),
        _ROWS,
        61_962,
        classes=10,
        epoch=_rows,
    ),
    Case(
        "lstm-two-way",
        lambda: models.LSTMClassifier(10, 16, num_layers=2, bidirectional=True),
        partial(_keras, "LSTM", 16, 2, bidirectional=True, masked=True),
        _MASKED_ROWS,
        12_362,
        classes=10,
        epoch=partial(_rows, masked=True),
    ),
    Case(
        "music",
        lambda: models.SequenceModel(28, "gru", 16, num_layers=2),
        _keras_music,
        (Input((27, 28)),),
        4_316,
        epoch=_next_rows,
    ),
]

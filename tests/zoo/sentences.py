"""Classifiers of sentences other than Transformers."""

from typing import Any

from fdl import models
from zoo.case import Case, Input
from zoo.transformers import TIME, VOCAB, texts_with_a_class

FEATURES, MAPS = 8, 4


def keras_textcnn() -> Any:
    """Windows of 2, 3 and 5 words; windows of only padding are multiplied by 0."""
    import keras

    token = keras.layers.Input((TIME,), dtype="int32")
    real = keras.ops.cast(keras.ops.not_equal(token, 0), "float32")
    real = keras.layers.Reshape((TIME, 1))(real)
    uniform: Any = lambda bound: keras.initializers.RandomUniform(-bound, bound)
    x = keras.layers.Embedding(VOCAB, FEATURES, uniform(0.25), name="embed")(token)
    x = keras.layers.ZeroPadding1D(4)(x * keras.ops.cast(real, x.dtype))
    real = keras.layers.ZeroPadding1D(4)(real)
    found = []
    for place, width in enumerate((2, 3, 5), 1):
        conv = keras.layers.Conv1D(
            MAPS,
            width,
            activation="relu",
            kernel_initializer=uniform(0.01),
            name=f"conv{place}",
        )
        counts = keras.layers.MaxPooling1D(width, strides=1)(real)
        y = conv(x)
        y = y * keras.ops.cast(counts, y.dtype)
        found.append(keras.layers.GlobalMaxPooling1D()(y))
    x = keras.layers.Concatenate()(found)
    head = keras.layers.Dense(3, kernel_initializer="zeros", name="head")
    return keras.Model(token, head(x))


CASES = [
    Case(
        "textcnn",
        lambda: models.TextCNN(3, VOCAB, FEATURES, (2, 3, 5), MAPS, dropout_rate=0.0),
        keras_textcnn,
        (Input((TIME,), below=VOCAB),),
        555,
        classes=3,
        epoch=texts_with_a_class,
    )
]

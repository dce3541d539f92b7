"""The models of `draws`, written in Keras."""

import numpy as np

from lazily import Lazily, keras

layers = Lazily("keras.layers")


def keras_cnn(names=("conv1", "conv2", "conv3", "dense", "head")):
    """Return the tutorial's model; without names, Keras chooses them."""
    conv1, conv2, conv3, dense, head = names or [None] * 5
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, (3, 3), activation="relu", name=conv1),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu", name=conv2),
            layers.MaxPooling2D((2, 2)),
            layers.Conv2D(64, (3, 3), activation="relu", name=conv3),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name=dense),
            layers.Dense(10, name=head),
        ]
    )


def keras_mlp():
    return keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(16, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10),
        ]
    )


def keras_words():
    one = inputs = layers.Input((7,), dtype="int32")
    x = layers.Embedding(20, 6)(one)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    x = layers.LSTM(5, return_sequences=True)(x)
    x = layers.GRU(5, return_sequences=True)(x)
    x = layers.SimpleRNN(6, return_sequences=True)(x)
    x = layers.MultiHeadAttention(2, 3)(x, x)
    x = layers.MultiHeadAttention(2, 3)(x, x)
    x = layers.AdditiveAttention()([x, x])
    return keras.Model(inputs, layers.LayerNormalization()(x))


def keras_blocks():
    x = inputs = layers.Input((9, 9, 4))
    for _ in range(12):
        x = layers.Conv2D(4, 3, padding="same")(x)
        x = layers.BatchNormalization()(x)
    x = layers.SeparableConv2D(5, 3)(x)
    x = layers.GroupNormalization(1)(x)
    return keras.Model(inputs, layers.Dense(4)(x))


TWINS = {
    "cnn": keras_cnn,
    "mlp": keras_mlp,
    "words": keras_words,
    "blocks": keras_blocks,
}


def randomize(keras_model) -> None:
    rng = np.random.default_rng(1)
    keras_model.set_weights(
        [rng.normal(size=weight.shape) for weight in keras_model.get_weights()]
    )


def weights_of(keras_model) -> list[bytes]:
    return [weight.tobytes() for weight in keras_model.get_weights()]

"""Recurrent classifiers as one writes them in Keras."""

from typing import Any


def recurrent(
    kind: str,
    hidden_size: int = 128,
    num_layers: int = 1,
    *,
    bidirectional: bool = False,
    masked: bool = False,
) -> Any:
    """Return a model of 28 rows of 28, and of a mask of the rows if `masked`."""
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

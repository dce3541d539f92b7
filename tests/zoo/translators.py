"""Recurrent networks from sequences to sequences."""

from typing import Any

from fdl import models
from zoo.case import Case, Epoch, Input
from zoo.transformers import SOURCE_VOCAB, VOCAB, texts_to_translate

HIDDEN, FEATURES, ATTENTION, LAYERS = 6, 4, 5, 2
TIME, SOURCE_TIME = 5, 7


def keras_seq2seq() -> Any:
    """Two reversed LSTMs read, and two write, starting from their final states."""
    import keras

    (source, target), x, mask = _read()
    states = []
    for number in range(1, LAYERS + 1):
        layer = keras.layers.LSTM(
            HIDDEN,
            return_sequences=True,
            return_state=True,
            go_backwards=True,
            name=f"encoder_layer{number}",
        )
        x, *state = layer(x, mask=mask)
        x = keras.ops.flip(x, axis=1)
        states.append(state)
    x = keras.layers.Embedding(VOCAB, FEATURES, name="embed")(target)
    for number, state in enumerate(states, 1):
        name = f"decoder_layer{number}"
        layer = keras.layers.LSTM(HIDDEN, return_sequences=True, name=name)
        x = layer(x, initial_state=state)
    x = keras.layers.Dense(VOCAB, name="output")(x)
    return keras.Model([source, target], x)


def keras_seq2seq_every() -> Any:
    """As in Cho et al.: a GRU reads, and another gets its summary at every step."""
    import keras

    layers = keras.layers
    (source, target), x, mask = _read()
    encoder = layers.GRU(HIDDEN, reset_after=False, name="encoder_layer1")
    summary = encoder(x, mask=mask)
    summary = layers.Dense(HIDDEN, activation="tanh", name="summary")(summary)
    first = layers.Dense(HIDDEN, activation="tanh", name="bridge")(summary)
    x = layers.Embedding(VOCAB, FEATURES, name="embed")(target)
    seen = layers.Concatenate()([x, layers.RepeatVector(TIME)(summary)])
    decoder = layers.GRU(
        HIDDEN, return_sequences=True, reset_after=False, name="decoder_layer1"
    )
    x = layers.Concatenate()([decoder(seen, initial_state=first), seen])
    x = layers.Dense(HIDDEN, name="output_hidden")(x)
    x = keras.ops.max(layers.Reshape((TIME, HIDDEN // 2, 2))(x), axis=-1)
    return keras.Model([source, target], layers.Dense(VOCAB, name="output_head")(x))


def keras_attention() -> Any:
    """A loop over the steps of the target, since Keras has no such layer."""
    import keras

    layers = keras.layers
    (source, target), x, mask = _read()
    gru = layers.GRU(HIDDEN, return_sequences=True, return_state=True)
    values, _, state = layers.Bidirectional(gru, name="encoder")(x, mask=mask)
    keys = layers.Dense(ATTENTION, use_bias=False, name="keys")(values)
    state = layers.Dense(HIDDEN, activation="tanh", name="bridge")(state)
    embed = layers.Embedding(VOCAB, FEATURES, name="embed")
    query = layers.Dense(ATTENTION, name="query")
    attention = layers.AdditiveAttention(name="attention")
    decoder = layers.GRUCell(HIDDEN, name="decoder")
    hidden = layers.Dense(HIDDEN, activation="tanh", name="output_hidden")
    head = layers.Dense(VOCAB, name="output_head")
    logits = []
    for step in range(TIME):
        asked = keras.ops.expand_dims(query(state), 1)
        context = attention([asked, values, keys], mask=[None, mask])[:, 0]
        vector = embed(target[:, step])
        state, _ = decoder(layers.Concatenate()([vector, context]), [state])
        x = layers.Concatenate()([state, vector, context])
        logits.append(head(hidden(x)))
    return keras.Model([source, target], keras.ops.stack(logits, axis=1))


def _read() -> Any:
    """Return inputs, vectors of the source, and the mask of its tokens."""
    import keras

    source = keras.layers.Input((SOURCE_TIME,), dtype="int32")
    target = keras.layers.Input((TIME,), dtype="int32")
    x = keras.layers.Embedding(SOURCE_VOCAB, FEATURES, name="source_embed")(source)
    return (source, target), x, keras.ops.not_equal(source, 0)


def translations() -> Epoch:
    """Yield real text as the source, and the same text as the target."""
    for (source, target), following in texts_to_translate():
        source = source[:, -SOURCE_TIME:]
        yield (source, target[:, :TIME]), following[:, :TIME]


_TOKENS = (Input((SOURCE_TIME,), below=SOURCE_VOCAB), Input((TIME,), below=VOCAB))

CASES = [
    Case(
        "seq2seq",
        lambda: models.EncoderDecoder(
            VOCAB,
            SOURCE_VOCAB,
            num_layers=LAYERS,
            hidden_size=HIDDEN,
            features=FEATURES,
        ),
        keras_seq2seq,
        _TOKENS,
        1_481,
        classes=VOCAB,
        epoch=translations,
    ),
    Case(
        "seq2seq-every",
        lambda: models.EncoderDecoder(
            VOCAB,
            SOURCE_VOCAB,
            "gru",
            hidden_size=HIDDEN,
            features=FEATURES,
            reverse=False,
            context="every",
        ),
        keras_seq2seq_every,
        _TOKENS,
        950,
        classes=VOCAB,
        epoch=translations,
    ),
    Case(
        "attention",
        lambda: models.AttentionEncoderDecoder(
            VOCAB, SOURCE_VOCAB, HIDDEN, FEATURES, ATTENTION
        ),
        keras_attention,
        _TOKENS,
        1_473,
        classes=VOCAB,
        epoch=translations,
    ),
]

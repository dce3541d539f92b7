"""Transformers for images, for text, and from text to text."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fdl import data, models, nn
from zoo.case import Case, Epoch, Input

FEATURES, HEADS = 16, 4
LAYERS = 2  # but one for images and for the translator, to save time
VOCAB, TIME = 23, 12
SOURCE_VOCAB, SOURCE_TIME = 19, 10


def keras_vision_transformer() -> Any:
    """Pre-norm, with 7x7 patches, learned positions and mean pooling."""
    import keras

    image = keras.layers.Input((28, 28, 1))
    x = keras.layers.Reshape((4, 7, 4, 7))(image)
    x = keras.layers.Permute((1, 3, 2, 4))(x)
    x = keras.layers.Reshape((16, 49))(x)
    x = keras.layers.Dense(FEATURES, name="patch")(x)
    x = x + _learned(x, 16)
    x = _stack(x, "encoder", norm="pre", activation=_gelu, num_layers=1)
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(image, keras.layers.Dense(10, name="head")(x))


def keras_text_classifier() -> Any:
    """Post-norm, with sinusoids; token 0 is masked."""
    import keras

    token = keras.layers.Input((TIME,), dtype="int32")
    mask = keras.ops.not_equal(token, 0)
    x = keras.layers.Embedding(VOCAB, FEATURES, name="embed")(token)
    x = x * FEATURES**0.5 + _sinusoids(TIME)
    x = _stack(x, "encoder", mask=mask)
    x = keras.layers.GlobalAveragePooling1D()(x, mask=mask)
    return keras.Model(token, keras.layers.Dense(3, name="head")(x))


def keras_language_model() -> Any:
    """Pre-norm, causal, with learned positions and tied embeddings."""
    import keras

    token = keras.layers.Input((TIME,), dtype="int32")
    embed = keras.layers.ReversibleEmbedding(
        VOCAB, FEATURES, tie_weights=True, name="embed"
    )
    x = embed(token) * FEATURES**0.5
    x = x + _learned(x, TIME)
    x = _stack(x, "decoder", norm="pre", activation=_gelu, causal=True)
    return keras.Model(token, embed(x, reverse=True))


def keras_transformer() -> Any:
    """As in the paper: post-norm, with sinusoids and one table in three places."""
    embed = _tied()
    return _keras_transformer(embed, embed, "post")


def keras_translator() -> Any:
    """Pre-norm, with a table for sources, and one for targets and logits."""
    import keras

    start = keras.initializers.VarianceScaling(mode="fan_out")
    table = keras.layers.Embedding(SOURCE_VOCAB, FEATURES, start, name="source_embed")
    return _keras_transformer(table, _tied(), "pre", num_layers=1)


def _keras_transformer(
    source_embed: Any, embed: Any, norm: str, num_layers: int = LAYERS
) -> Any:
    import keras

    source = keras.layers.Input((SOURCE_TIME,), dtype="int32")
    target = keras.layers.Input((TIME,), dtype="int32")
    mask = keras.ops.not_equal(source, 0)
    activation = _gelu if norm == "pre" else "relu"
    how: Any = {"norm": norm, "activation": activation, "num_layers": num_layers}
    memory = source_embed(source) * FEATURES**0.5 + _sinusoids(SOURCE_TIME)
    memory = _stack(memory, "encoder", mask=mask, **how)
    x = embed(target) * FEATURES**0.5 + _sinusoids(TIME)
    x = _stack(x, "decoder", causal=True, memory=memory, memory_mask=mask, **how)
    return keras.Model([source, target], embed(x, reverse=True))


def _tied() -> Any:
    """Return a table of variance 1 / FEATURES, tied to its transpose."""
    import keras

    start = keras.initializers.VarianceScaling(mode="fan_out")
    return keras.layers.ReversibleEmbedding(
        VOCAB, FEATURES, tie_weights=True, embeddings_initializer=start, name="embed"
    )


def _stack(
    x: Any,
    name: str,
    *,
    mask: Any = None,
    memory: Any = None,
    memory_mask: Any = None,
    causal: bool = False,
    norm: str = "post",
    activation: Any = "relu",
    num_layers: int = LAYERS,
) -> Any:
    import keras

    def add(x: Any, part: str, function: Any) -> Any:
        layer = keras.layers.LayerNormalization(name=f"{part}_norm")
        if norm == "pre":
            return x + function(layer(x))
        return layer(x + function(x))

    def pairs(mask: Any) -> Any:
        return None if mask is None else keras.ops.expand_dims(mask, 1)

    def attention(part: str) -> Any:
        return keras.layers.MultiHeadAttention(HEADS, FEATURES // HEADS, name=part)

    def attend(x: Any, part: str) -> Any:
        return attention(part)(x, x, attention_mask=pairs(mask), use_causal_mask=causal)

    def attend_to_memory(x: Any, part: str) -> Any:
        return attention(part)(x, memory, attention_mask=pairs(memory_mask))

    def feed_forward(x: Any, block: str) -> Any:
        hidden = keras.layers.Dense(
            4 * FEATURES, activation=activation, name=f"{block}_dense1"
        )
        return keras.layers.Dense(FEATURES, name=f"{block}_dense2")(hidden(x))

    for layer in range(1, num_layers + 1):
        block = f"{name}_block{layer}"
        part = f"{block}_attention"
        x = add(x, part, lambda x, part=part: attend(x, part))
        if memory is not None:
            part = f"{block}_memory_attention"
            x = add(x, part, lambda x, part=part: attend_to_memory(x, part))
        x = add(x, f"{block}_dense", lambda x, block=block: feed_forward(x, block))
    if norm == "pre":
        x = keras.layers.LayerNormalization(name=f"{name}_norm")(x)
    return x


def _gelu(x: Any) -> Any:
    """Return the exact gelu; in Keras', TensorFlow rounds the root of 2 to float32."""
    import keras

    return 0.5 * x * (1 + keras.ops.erf(x * 0.5**0.5))


def _learned(x: Any, time: int) -> Any:
    """Return learned positions for `x`, a vector for each step."""
    import keras

    ones = keras.ops.ones_like(x[..., 0], dtype="int32")
    position = keras.ops.cumsum(ones, axis=1) - 1
    return keras.layers.Embedding(time, FEATURES, name="position")(position)


def _sinusoids(time: int) -> Any:
    """Return the table of section 3.5 of the paper, entry by entry."""
    import keras

    table = np.zeros((1, time, FEATURES))
    for position in range(time):
        for i in range(FEATURES // 2):
            angle = position / 10_000 ** (2 * i / FEATURES)
            table[0, position, 2 * i] = np.sin(angle)
            table[0, position, 2 * i + 1] = np.cos(angle)
    return keras.ops.convert_to_tensor(table.astype(keras.config.floatx()))


def next_tokens() -> Epoch:
    """Yield real text, with the next tokens as targets."""
    for text in _texts(TIME + 1):
        yield (text[:, :-1],), text[:, 1:]


def texts_with_a_class() -> Epoch:
    """Yield real text, padded with 0, and a class that depends on the first token."""
    for step, text in enumerate(_texts(TIME)):
        text = np.maximum(text, 1)
        ends = np.random.default_rng(step).integers(1, TIME + 1, size=(len(text), 1))
        yield (np.where(np.arange(TIME) < ends, text, 0),), text[:, 0] % 3


def texts_to_repeat() -> Epoch:
    """Yield real text as the source, and the same text as the target."""
    for text in _texts(TIME + 1):
        text = np.maximum(text, 1)
        source = text[:, 1 : SOURCE_TIME + 1].copy()
        source[::2, -3:] = 0
        yield (source, text[:, :-1]), text[:, 1:]


def texts_to_translate() -> Epoch:
    """Yield the same, with sources in a smaller vocabulary."""
    for (source, target), following in texts_to_repeat():
        source = np.where(source > 0, source % (SOURCE_VOCAB - 1) + 1, 0)
        yield (source, target), following


def _texts(time: int, batch: int = 16, steps: int = 40) -> Iterator[np.ndarray]:
    tokens = data.load("python-docs").train.token.ravel() % VOCAB
    rows = tokens[: steps * batch * time].reshape(steps, batch, time)
    yield from rows


def _blocks(
    norm: Any, num_layers: int = LAYERS, *, causal: bool = False
) -> nn.TransformerStack:
    return nn.TransformerStack(
        num_layers,
        HEADS,
        norm=norm,
        activation=nn.gelu if norm == "pre" else nn.relu,
        causal=causal,
    )


CASES = [
    Case(
        "transformer",
        lambda: models.VisionTransformer(10, _blocks("pre", 1), FEATURES),
        keras_vision_transformer,
        (Input((28, 28, 1)),),
        4_538,
        classes=10,
    ),
    Case(
        "text-classifier",
        lambda: models.TextClassifier(3, VOCAB, _blocks("post"), FEATURES),
        keras_text_classifier,
        (Input((TIME,), below=VOCAB),),
        6_979,
        classes=3,
        epoch=texts_with_a_class,
    ),
    Case(
        "language-model",
        lambda: models.LanguageModel(
            VOCAB, _blocks("pre", causal=True), FEATURES, TIME
        ),
        keras_language_model,
        (Input((TIME,), below=VOCAB),),
        7_152,
        classes=VOCAB,
        epoch=next_tokens,
    ),
    Case(
        "encoder-decoder",
        lambda: models.Transformer(
            VOCAB,
            _blocks("post"),
            _blocks("post", causal=True),
            FEATURES,
            pad_token=0,
        ),
        keras_transformer,
        (
            Input((SOURCE_TIME,), below=VOCAB),
            Input((TIME,), below=VOCAB),
        ),
        15_728,
        classes=VOCAB,
        epoch=texts_to_repeat,
    ),
    Case(
        "translator",
        lambda: models.Transformer(
            VOCAB,
            _blocks("pre", 1),
            _blocks("pre", 1, causal=True),
            FEATURES,
            pad_token=0,
            source_vocab_size=SOURCE_VOCAB,
        ),
        keras_translator,
        (
            Input((SOURCE_TIME,), below=SOURCE_VOCAB),
            Input((TIME,), below=VOCAB),
        ),
        8_416,
        classes=VOCAB,
        epoch=texts_to_translate,
    ),
]

"""Models apply dropout only in training, once after each of their layers."""

import flax.linen as linen
import jax
import numpy as np
import pytest

from fdl import models, nn

RATE = 0.5
IMAGE, TOKEN = np.zeros((2, 8, 8, 1), np.float32), np.zeros((2, 5), np.int32)
LAYERS = 2


def blocks(**options):
    return nn.TransformerStack(LAYERS, 2, dropout_rate=RATE, **options)


MODELS = [
    (models.MLP(3, (4, 4), dropout_rate=RATE), (IMAGE,), 2),
    (models.GRUClassifier(3, 4, LAYERS, dropout_rate=RATE), (IMAGE[..., 0],), LAYERS),
    (models.DCGANDiscriminator((4, 4), dropout_rate=RATE), (IMAGE,), 2),
    # To the embedded inputs, and after each sublayer.
    (models.VisionTransformer(3, blocks(), 8, 4), (IMAGE,), 1 + 2 * LAYERS),
    (models.TextClassifier(3, 9, blocks(), 8), (TOKEN,), 1 + 2 * LAYERS),
    (
        models.LanguageModel(9, blocks(causal=True), 8, 5),
        (TOKEN,),
        1 + 2 * LAYERS,
    ),
    (
        models.Transformer(9, blocks(), blocks(causal=True), 8),
        (TOKEN, TOKEN),
        2 + 5 * LAYERS,
    ),
    (
        models.EncoderDecoder(
            9, 9, num_layers=LAYERS, hidden_size=4, dropout_rate=RATE
        ),
        (TOKEN, TOKEN),
        2 + 2 * LAYERS,
    ),
    # To embeddings, and after the layer before the logits.
    (models.AttentionEncoderDecoder(9, 9, 4, dropout_rate=RATE), (TOKEN, TOKEN), 3),
]


@pytest.mark.parametrize(
    ("model", "inputs", "count"), MODELS, ids=lambda x: type(x).__name__
)
def test_models_apply_dropout_the_documented_number_of_times(
    model, inputs, count
) -> None:
    found = []

    def record(method, args, kwargs, context):
        module = context.module
        if isinstance(module, nn.Dropout) and context.method_name == "__call__":
            found.append((module.rate, kwargs.get("train")))
        return method(*args, **kwargs)

    keys = {"params": jax.random.key(0), "dropout": jax.random.key(1)}
    with linen.intercept_methods(record):
        jax.eval_shape(lambda: model.init(keys, *inputs, train=True))
    assert found.count((RATE, True)) == count
    assert all(rate == 0 for rate, _ in found if rate != RATE)
    found.clear()
    with linen.intercept_methods(record):
        jax.eval_shape(lambda: model.init(keys, *inputs))
    assert not any(train for _, train in found)

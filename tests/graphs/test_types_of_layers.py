"""Models whose layers compute in half precision predict the same as in Keras."""

import jax
import numpy as np
import pytest

from fdl.keras import import_model
from lazily import Lazily, keras

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Layer .*does not support masking:UserWarning"),
]

L, K = Lazily("keras.layers"), Lazily("keras.ops")
EPSILON = {"mixed_float16": 2**-10, "mixed_bfloat16": 2**-7}


def mixed(policy):
    """Return a model in which most layers have a policy."""
    own = {"dtype": policy}
    image, rows = L.Input((6, 6, 3), name="image"), L.Input((5, 4), name="rows")
    token = L.Input((5,), dtype="int32", name="token")
    x = L.Conv2D(4, 3, activation="relu", **own)(L.Rescaling(1 / 255, **own)(image))
    norm = L.BatchNormalization(**own)(x)
    flat = L.Flatten(**own)(norm)
    embedded = L.Embedding(9, 4, mask_zero=True, **own)(token)
    dense = L.Dense(3, **own)(rows)
    outputs = {
        "image": L.Rescaling(1 / 255, **own)(image),
        "layer": L.LayerNormalization(**own)(x),
        "group": L.GroupNormalization(2, **own)(x),
        "mean": L.GlobalAveragePooling2D(**own)(norm),
        "up": L.UpSampling2D(2, interpolation="bilinear", **own)(x),
        "depthwise": L.DepthwiseConv2D(2, **own)(x),
        "transposed": L.Conv2DTranspose(3, 2, **own)(x),
        "head": L.Dense(3, activation="softmax", dtype="float32")(flat),
        "embedded": embedded,
        "lstm": L.LSTM(4, **own)(embedded),
        "gru": L.GRU(4, return_sequences=True, **own)(rows),
        "heads": L.MultiHeadAttention(2, 3, **own)(rows, rows),
        "attention": L.Attention(**own)([rows, embedded]),
        "each": L.TimeDistributed(L.Dense(3, **own), **own)(rows),
        "both": L.Add()([dense, L.Dense(3)(rows)]),
        "function": K.exp(dense),
        "gelu": L.Dense(3, activation="gelu", **own)(rows),
        "prelu": L.PReLU(alpha_initializer="ones", **own)(rows),
        "softmax": L.Softmax(**own)(rows),
    }
    return keras.Model({"image": image, "rows": rows, "token": token}, outputs)


@pytest.mark.parametrize("policy", EPSILON)
def test_mixed_precision_predicts_the_same_as_keras(policy):
    keras.utils.set_random_seed(0)
    theirs, rng = mixed(policy), np.random.default_rng(0)
    inputs = {
        "image": rng.normal(size=(3, 6, 6, 3)).astype("float32") * 50,
        "rows": rng.normal(size=(3, 5, 4)).astype("float32"),
        "token": rng.integers(0, 9, (3, 5)).astype("int32"),
    }
    ours, variables = import_model(theirs)
    found = jax.jit(ours.apply)(variables, inputs)
    wanted = theirs(inputs, training=False)
    assert {k: y.dtype.name for k, y in found.items()} == {
        k: y.dtype.name for k, y in wanted.items()
    }
    for name, y in wanted.items():
        y = np.asarray(K.cast(y, "float32"))
        error = abs(np.asarray(found[name], np.float32) - y).max() / abs(y).max()
        assert error < 1.5 * EPSILON[policy], name

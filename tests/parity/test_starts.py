"""Initial weights of layers and models have the distributions of Keras."""

import math
import re
from pathlib import Path
from typing import Any

import flax.linen as linen
import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

import zoo
from fdl import models, nn
from fdl.keras import from_keras
from lazily import Lazily, keras

pytestmark = pytest.mark.parity

layers = Lazily("keras.layers")
IMAGE, SEQUENCE = (8, 8, 32), (4, 96)
# Sizes are large enough to tell distributions apart.
LAYERS = {
    "Dense": (nn.Dense(64), lambda: layers.Dense(64), SEQUENCE),
    "Conv1D": (nn.Conv1D(64, 3), lambda: layers.Conv1D(64, 3), SEQUENCE),
    "Conv2D": (nn.Conv2D(48, (3, 3)), lambda: layers.Conv2D(48, 3), IMAGE),
    "Conv2D in groups": (
        nn.Conv2D(64, (3, 3), groups=2),
        lambda: layers.Conv2D(64, 3, groups=2),
        IMAGE,
    ),
    "DepthwiseConv2D": (
        nn.DepthwiseConv2D((3, 3), depth_multiplier=4),
        lambda: layers.DepthwiseConv2D(3, depth_multiplier=4),
        IMAGE,
    ),
    "SeparableConv2D": (
        nn.SeparableConv2D(48, (3, 3), depth_multiplier=4),
        lambda: layers.SeparableConv2D(48, 3, depth_multiplier=4),
        IMAGE,
    ),
    "Conv2DTranspose": (
        nn.Conv2DTranspose(16, (5, 5)),
        lambda: layers.Conv2DTranspose(16, 5),
        IMAGE,
    ),
    "BatchNormalization": (
        nn.BatchNormalization(),
        lambda: layers.BatchNormalization(),
        IMAGE,
    ),
    "LayerNormalization": (
        nn.LayerNormalization(),
        lambda: layers.LayerNormalization(),
        IMAGE,
    ),
    "GroupNormalization": (
        nn.GroupNormalization(),
        lambda: layers.GroupNormalization(),
        IMAGE,
    ),
    "SimpleRNN": (nn.SimpleRNN(64), lambda: layers.SimpleRNN(64), SEQUENCE),
    "LSTM": (nn.LSTM(64), lambda: layers.LSTM(64), SEQUENCE),
    "GRU": (nn.GRU(64), lambda: layers.GRU(64), SEQUENCE),
    "Bidirectional": (
        nn.Bidirectional(nn.LSTM(64)),
        lambda: layers.Bidirectional(layers.LSTM(64)),
        SEQUENCE,
    ),
}


# Layers with an initializer for each of their weights.
I, KI = nn.initializers, Lazily("keras.initializers")
CONSTANT, NORMAL = I.Constant(0.25), I.TruncatedNormal(0.0, 0.3)
WITH_INITIALIZERS = {
    "Dense": (
        nn.Dense(64, kernel_init="he_normal", bias_init=CONSTANT),
        lambda: layers.Dense(
            64, kernel_initializer="he_normal", bias_initializer=KI.Constant(0.25)
        ),
        SEQUENCE,
    ),
    **{
        f"{name}": (
            getattr(nn, name)(*sizes, kernel_init="HeUniform", bias_init=CONSTANT),
            lambda name=name, sizes=sizes: getattr(layers, name)(
                *sizes,
                kernel_initializer="he_uniform",
                bias_initializer=KI.Constant(0.25),
            ),
            shape,
        )
        for name, sizes, shape in (
            ("Conv1D", (64, 3), SEQUENCE),
            ("Conv2D", (48, (3, 3)), IMAGE),
            ("Conv2DTranspose", (48, (3, 3)), IMAGE),
        )
    },
    "DepthwiseConv2D": (
        nn.DepthwiseConv2D((5, 5), kernel_init=NORMAL, bias_init=CONSTANT),
        lambda: layers.DepthwiseConv2D(
            5,
            depthwise_initializer=KI.TruncatedNormal(0.0, 0.3),
            bias_initializer=KI.Constant(0.25),
        ),
        IMAGE,
    ),
    "SeparableConv2D": (
        nn.SeparableConv2D(
            48,
            (5, 5),
            depthwise_init=NORMAL,
            pointwise_init="lecun_uniform",
            bias_init=CONSTANT,
        ),
        lambda: layers.SeparableConv2D(
            48,
            5,
            depthwise_initializer=KI.TruncatedNormal(0.0, 0.3),
            pointwise_initializer="lecun_uniform",
            bias_initializer=KI.Constant(0.25),
        ),
        IMAGE,
    ),
    **{
        name: (
            getattr(nn, name)(scale_init=I.Constant(3.0), bias_init=CONSTANT),
            lambda name=name: getattr(layers, name)(
                gamma_initializer=KI.Constant(3.0), beta_initializer=KI.Constant(0.25)
            ),
            IMAGE,
        )
        for name in ("BatchNormalization", "LayerNormalization", "GroupNormalization")
    },
    **{
        name: (
            getattr(nn, name)(
                64,
                kernel_init="he_normal",
                recurrent_init=I.Orthogonal(2.0),
                bias_init=CONSTANT,
            ),
            lambda name=name: getattr(layers, name)(
                64,
                kernel_initializer="he_normal",
                recurrent_initializer=KI.Orthogonal(2.0),
                bias_initializer=KI.Constant(0.25),
            ),
            SEQUENCE,
        )
        for name in ("SimpleRNN", "LSTM", "GRU")
    },
    "LSTM without unit_forget_bias": (
        nn.LSTM(64, bias_init=CONSTANT, unit_forget_bias=False),
        lambda: layers.LSTM(
            64, bias_initializer=KI.Constant(0.25), unit_forget_bias=False
        ),
        SEQUENCE,
    ),
}


def twin_of(layer: Any, *shapes: tuple[int, ...], dtype: str = "float32") -> Any:
    inputs = [keras.Input(shape, dtype=dtype) for shape in shapes]
    return keras.Model(inputs, layer(*inputs))


def compare(model: linen.Module, twin: Any, *inputs: Any) -> None:
    ours = jax.jit(model.init)(jax.random.key(0), *inputs)
    theirs = from_keras(model, twin)
    pairs = [flatten_dict(tree, sep="/") for tree in (ours, theirs)]
    assert pairs[0].keys() == pairs[1].keys()
    for path in pairs[0]:
        a, b = (np.asarray(tree[path]) for tree in pairs)
        assert (a.shape, a.dtype) == (b.shape, b.dtype), path
        if path.endswith("recurrent_kernel"):  # orthogonal rows of equal length
            products = [kernel @ kernel.T for kernel in (a, b)]
            np.testing.assert_allclose(*products, atol=1e-5)
            np.testing.assert_allclose(
                products[0], products[0][0, 0] * np.eye(len(a)), atol=1e-5
            )
        elif path.endswith("bias") or a.min() == a.max():
            # Zeros, running means, and ones for the forget gate of an LSTM.
            np.testing.assert_array_equal(a, b, err_msg=path)
        elif path.endswith(("scale", "var")) and not path.endswith("attention/scale"):
            np.testing.assert_array_equal(a, b, err_msg=path)
        else:
            # Bounded distributions: range and spread agree within sampling error.
            few = 6 / math.sqrt(a.size)
            assert np.abs(a).max() == pytest.approx(np.abs(b).max(), rel=few), path
            assert a.std() == pytest.approx(b.std(), rel=few), path
            assert abs(a.mean()) < few * a.std(), path


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str) -> None:
    layer, theirs, shape = LAYERS[name]
    compare(layer, twin_of(theirs(), shape), np.ones((1, *shape), np.float32))


@pytest.mark.parametrize("name", WITH_INITIALIZERS)
def test_layer_with_initializers(name: str) -> None:
    layer, theirs, shape = WITH_INITIALIZERS[name]
    compare(layer, twin_of(theirs(), shape), np.ones((1, *shape), np.float32))


@pytest.mark.parametrize("start", ["random_uniform", "glorot_normal"])
def test_embedding(start: str) -> None:
    layer = keras.layers.Embedding(50, 64, start)
    twin = twin_of(layer, (3,), dtype="int32")
    compare(nn.Embedding(50, 64, start), twin, np.ones((1, 3), np.int32))


@pytest.mark.parametrize("start", ["glorot_uniform", "he_normal"])
def test_multi_head_attention(start: str) -> None:
    layer = keras.layers.MultiHeadAttention(
        8,
        16,
        4,
        output_shape=32,
        kernel_initializer=start,
        bias_initializer=KI.Constant(0.25),
    )
    twin = twin_of(layer, SEQUENCE, SEQUENCE)
    x = np.ones((1, *SEQUENCE), np.float32)
    model = nn.MultiHeadAttention(8, 16, 4, 32, kernel_init=start, bias_init=CONSTANT)
    compare(model, twin, x, x)


def test_additive_attention() -> None:
    class Model(linen.Module):
        @linen.compact
        def __call__(self, query: Any, key: Any) -> Any:
            return nn.AdditiveAttention(name="attention")(query, key)

    wide = (2, 4096)  # for a sample that is large enough in one vector
    layer = keras.layers.AdditiveAttention()
    twin = twin_of(lambda *inputs: layer(list(inputs)), wide, wide)
    x = np.ones((1, *wide), np.float32)
    compare(Model(), twin, x, x)


# Files of models that choose initializers, and a model of each file to compare; all
# other models use those of their layers, which are compared above.
CHOOSING = {
    "lenet.py": "lenet5",
    "textcnn.py": "textcnn",
    "transformer.py": "translator",  # with blocks, which pass initializers on
}


def files_with(pattern: str, folder: Path) -> set[str]:
    return {
        file.name
        for file in folder.glob("*.py")
        if re.search(pattern, file.read_text("utf-8"))
    }


def test_other_models_use_the_initializers_of_their_layers() -> None:
    choices = r"initializers|_init\b|\.param\(|linen\.(Dense|Conv|Embed|\w*Cell)"
    assert files_with(choices, Path(models.__file__).parent) == set(CHOOSING)
    twins = files_with("_initializer", Path(zoo.__file__).parent)
    assert twins == {"classics.py", "sentences.py", "transformers.py"}


@pytest.mark.parametrize("name", CHOOSING.values())
def test_model(name: str) -> None:
    (case,) = (case for case in zoo.ZOO if case.name == name)
    compare(case.make(), case.keras_twin(), *case.arrays(1))

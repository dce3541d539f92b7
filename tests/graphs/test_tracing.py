"""Linen modules are traced and saved as `.keras` files, which Keras opens."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models, nn
from fdl.keras import KerasModel, WeightsError, import_model, save_weights
from fdl.keras.tracing.trace import trace
from graphs.test_against_keras import error, named
from lazily import keras

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

IMAGE = np.zeros((1, 12, 12, 3), np.float32)
SEQUENCE = np.zeros((1, 6, 4), np.float32)
TOKEN = np.zeros((1, 7), np.int32)
ENCODER = nn.TransformerEncoder(num_layers=1, num_heads=2, activation=nn.gelu)
DECODER = nn.TransformerDecoder(num_layers=1, num_heads=2, norm="pre")


@pytest.fixture(autouse=True)
def _rank_promotion():
    """Allow rank promotion, which is JAX's default."""
    with jax.numpy_rank_promotion("allow"):
        yield


class Images(linen.Module):
    """Common operations between layers, and Linen's own layers."""

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(6, (3, 3), feature_group_count=3, padding="SAME")(x)
        x = linen.BatchNorm(use_running_average=True, use_bias=False)(x)
        x = linen.max_pool(x, (3, 3), strides=(2, 2), padding="SAME")
        left, right = jnp.split(x, 2, axis=-1)
        gate = jax.nn.sigmoid(left) * jnp.tanh(right) + jnp.maximum(left, 0.1)
        x = jnp.concatenate([x, gate, jnp.square(left) ** 3], axis=-1)
        x = nn.SeparableConv2D(4, (3, 2), dilation=(2, 1), use_bias=False)(x)
        x = nn.GroupNormalization(num_groups=2)(x)
        x = linen.avg_pool(x, (1, 2), strides=(1, 2)) + nn.avg_pool(x, (1, 2))
        pooled = [nn.global_max_pool(x), nn.global_avg_pool(x), jnp.mean(x, (1, 2))]
        x = jnp.stack(pooled, axis=1)
        x = jnp.where(x > 0, x, jnp.array([0.1, 0.2, 0.3, 0.4]) * x)
        x = jnp.pad(x, ((0, 0), (1, 0), (0, 0)), constant_values=0.5)[:, ::-1]
        y = jnp.einsum("bij,bkj->bik", x, x) / 2 + jnp.arange(4.0)
        y = y + x[:, jnp.array([2, 0, 0, 3])] + x[:, :, 1:2]
        return {"all": y, "first": x[:, 0], "sum": jnp.cumsum(x, axis=1).max(axis=-1)}


class Convolutions(linen.Module):
    @linen.compact
    def __call__(self, x):
        skip = nn.DepthwiseConv2D((3, 3), padding="same", depth_multiplier=2)(x)
        x = nn.leaky_relu(nn.zero_pad(skip, ((1, 0), (2, 1))))
        x = nn.Conv2DTranspose(3, (3, 3), strides=(2, 2))(x)
        x = nn.upsample(nn.max_pool(x, (3, 2), strides=(1, 2)), method="bilinear")
        x = nn.LayerNormalization(use_bias=False)(x).transpose(0, 2, 3, 1)
        x = x.reshape(x.shape[0], x.shape[1], -1)
        x = nn.relu(nn.Conv1D(5, 3, padding="causal", dilation=2)(x))
        return nn.elu(nn.Dense(3)(x)), nn.softmax(nn.Dense(2, use_bias=False)(x))


class Sequences(linen.Module):
    """Recurrent layers whose outputs and states are used in every way."""

    @linen.compact
    def __call__(self, x, real):
        steps, state = nn.LSTM(4)(x, mask=real)
        both = nn.Bidirectional(nn.GRU(3), merge_mode="sum")(steps, mask=real).outputs
        h = nn.SimpleRNN(4)(both, nn.GRU(4)(steps).state).state
        ends = nn.Bidirectional(nn.LSTM(2))(x).state
        ends = jnp.concatenate([ends.forward.h, ends.backward.h], axis=-1)
        seen = nn.MultiHeadAttention(2, 3, value_size=2)(
            both, steps, mask=real[:, None, :], causal=True
        )
        seen = nn.AdditiveAttention()(seen, nn.Dense(3)(x), causal=True)
        return nn.selu(h + state.c), ends, seen


class Linens(linen.Module):
    """A Transformer block of Linen's own layers."""

    @linen.compact
    def __call__(self, x, train=False):
        y = linen.LayerNorm()(linen.DenseGeneral((2, 4))(x).reshape(*x.shape[:-1], 8))
        mask = linen.make_causal_mask(x[..., 0])
        y = y + linen.MultiHeadDotProductAttention(2, qkv_features=6)(y, x, mask=mask)
        split = y.reshape(*y.shape[:-1], 2, 4)
        y = linen.DenseGeneral(3, axis=(-2, -1), use_bias=False)(split)
        y = linen.Dropout(0.1, deterministic=not train)(linen.gelu(linen.Dense(5)(y)))
        return linen.softmax(linen.Sequential([linen.Dense(4), linen.swish])(y))


class Shared(linen.Module):
    """A module that is called twice, and nested modules."""

    @linen.compact
    def __call__(self, pair):
        embed = linen.Sequential([nn.Dense(4), nn.relu, nn.Dense(3)], name="embed")
        left, right = embed(pair["left"]), embed(pair["right"])
        return jnp.sum(jnp.abs(left - right), axis=-1, keepdims=True)


class Tuned(linen.Module):
    """A module with two imported models, one of which has two inputs."""

    body: KerasModel
    pair: KerasModel

    @linen.compact
    def __call__(self, x):
        y = self.body(x)
        z = self.pair({"left": y, "right": nn.Dense(5)(y)})
        return nn.Dense(2, name="head")(jnp.concatenate([y, z, self.body(2 * x)], -1))


def batch_of(inputs):
    rng = np.random.default_rng(1)

    def drawn(x):
        shape = (4, *x.shape[1:])
        if x.dtype == bool:
            return np.arange(6) < rng.integers(1, 6, (4, 1))
        if x.dtype == np.int32:
            return rng.integers(0, 5, shape).astype(np.int32)
        return rng.normal(size=shape).astype(np.float32)

    return jax.tree.map(drawn, inputs)


def variables_of(model, inputs):
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, jax.random.key(0), *inputs)
    # All are positive, since some are variances.
    return jax.tree.map(
        lambda s: (np.abs(rng.normal(size=s.shape)) * 0.3 + 0.01).astype("f4"), shapes
    )


VECTOR = np.zeros((1, 5), np.float32)
MODELS = {
    "images": (Images(), IMAGE),
    "convolutions": (Convolutions(), IMAGE),
    "sequences": (Sequences(), SEQUENCE, np.ones((1, 6), bool)),
    "linens": (Linens(), SEQUENCE),
    "shared": (Shared(), {"left": VECTOR, "right": VECTOR}),
    "tuned": (
        Tuned(
            KerasModel(trace(models.DenseEncoder((6, 5)), IMAGE).graph),
            KerasModel(trace(Shared(), {"left": VECTOR, "right": VECTOR}).graph),
        ),
        IMAGE,
    ),
    "vae": (
        models.VAE(
            3, models.DenseEncoder((5,)), models.DenseDecoder((5,), (12, 12, 3))
        ),
        IMAGE,
        np.zeros((1, 3), np.float32),
    ),
    "transformer": (
        models.VisionTransformer(3, ENCODER, 8, patch_size=6, pooling="token"),
        IMAGE,
    ),
    "texts": (models.TextClassifier(2, 9, ENCODER, 8), TOKEN),
    "language": (models.LanguageModel(9, DECODER, 8, 16), TOKEN),
}


@pytest.mark.parametrize("name", MODELS)
def test_keras_predicts_the_same(name, tmp_path) -> None:
    model, *inputs = MODELS[name]
    variables = variables_of(model, inputs)
    save_weights(tmp_path / "x.keras", model, variables, *inputs)
    given = batch_of(inputs)
    ours = jax.jit(model.apply)(variables, *given)
    theirs = keras.models.load_model(tmp_path / "x.keras")
    found = theirs(given[0] if len(given) == 1 else given, training=False)
    ours = ours._asdict() if hasattr(ours, "_asdict") else ours
    assert [key for key, _ in named(ours)] == [key for key, _ in named(found)]
    for (key, y), (_, z) in zip(named(ours), named(found), strict=True):
        assert error(y, z) < 5e-6, key  # for ten layers in float32


@pytest.mark.parametrize("name", ["shared", "images"])
def test_fdl_reads_what_it_wrote(name, tmp_path) -> None:
    model, *inputs = MODELS[name]
    variables = variables_of(model, inputs)
    save_weights(tmp_path / "x.keras", model, variables, *inputs)
    again, weights = import_model(tmp_path / "x.keras")
    given = batch_of(inputs)
    ours = jax.jit(model.apply)(variables, *given)
    twice = jax.jit(again.apply)(weights, *given)
    for y, z in zip(jax.tree.leaves(ours), jax.tree.leaves(twice), strict=True):
        np.testing.assert_allclose(y, z, rtol=0, atol=5e-6 * np.abs(y).max())


def test_a_chain_is_a_sequential_model() -> None:
    model = models.LSTMClassifier(3, 8, num_layers=2, bidirectional=True)
    assert repr(trace(model, SEQUENCE).graph).splitlines() == [
        "Sequential 'lstmclassifier'",
        "  sequence = Input([6, 4])",
        "  layer1 = Bidirectional(sequence)",
        "  dropout = Dropout(layer1)",
        "  layer2 = Bidirectional(dropout)",
        "  dropout_1 = Dropout(layer2)",
        "  head = Dense(dropout_1)",
        "  return head",
    ]
    graph = trace(models.CNN(10), np.zeros((1, 28, 28, 1))).graph
    kinds = [layer.kind for layer in graph.layers]
    assert kinds[1:] == ["Conv2D", "MaxPooling2D"] * 2 + (
        ["Conv2D", "Flatten", "Dense", "Dense"]
    )
    options = [layer.options.get("activation") for layer in graph.layers]
    assert options == [None, *["relu", None] * 3, "relu", "linear"]


class Scaled(linen.Module):
    @linen.compact
    def __call__(self, x):
        return x * self.param("scale", linen.initializers.ones, (x.shape[-1],))


class Other(linen.Module):
    make: object

    @linen.compact
    def __call__(self, x):
        return self.make(x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: Scaled(name="mine")(x), r"weight scale of mine \(Scaled\)"),
        (lambda x: nn.Dense(2)(jnp.sort(x)), "the operation sort"),
        (lambda x: linen.Dense(2, dtype="float16", name="a")(x), "layer a .*float16"),
        (lambda x: nn.GRU(2, reverse=True, name="b")(x)[0], "layer b .*reverse=True"),
        (lambda x: jnp.zeros(3), "an output does not depend on the inputs"),
        (
            lambda x: x + x.mean(axis=0),
            "does not support batches|depends on the batch size",
        ),
        (lambda x: x[: int(x.shape[0])], "does not support batches of any size"),
        (lambda x: linen.Conv(2, (3,), padding=1, name="c")(x), "layer c .*padding=1"),
    ],
)
def test_errors_name_what_keras_does_not_have(make, message, tmp_path) -> None:
    model = Other(make)
    variables = model.init(jax.random.key(0), SEQUENCE)
    with pytest.raises(WeightsError, match=f"^Other cannot be expressed.*{message}"):
        save_weights(tmp_path / "x.keras", model, variables, SEQUENCE)
    assert not list(tmp_path.iterdir())


def test_a_wrong_description_is_refused(tmp_path, monkeypatch) -> None:
    """The described model is compared with the module before it is written."""
    from fdl.keras.tracing import modules

    wrong = lambda m, x: modules.Described("Dropout", {"rate": 0.5}, (x,))
    monkeypatch.setitem(modules.MODULES, nn.LayerNormalization, wrong)
    model = Other(lambda x: nn.LayerNormalization(use_bias=False, use_scale=False)(x))
    with pytest.raises(WeightsError, match=r"the same layers .* something else"):
        save_weights(tmp_path / "x.keras", model, {}, SEQUENCE)

"""Random draws of imported models: initial weights, and noise in training."""

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from fdl.keras import import_model
from lazily import Lazily, keras

pytestmark = [
    pytest.mark.parity,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

L, I = Lazily("keras.layers"), Lazily("keras.initializers")
convnext = Lazily("keras.src.applications.convnext")


def starting():
    """Return a model with every initializer, and layers with their own draws."""
    x, image = L.Input((30,)), L.Input((6, 6, 12))
    rows, token = L.Input((5, 30)), L.Input((4,), dtype="int32")
    scaled = [
        I.VarianceScaling(3.0, "fan_in", "untruncated_normal"),
        I.VarianceScaling(3.0, "fan_out", "uniform"),
        I.VarianceScaling(3.0, "fan_avg", "truncated_normal"),
    ]
    plain = """glorot_uniform glorot_normal he_uniform he_normal lecun_uniform
    lecun_normal zeros ones orthogonal random_normal truncated_normal
    random_uniform""".split()
    more = [
        I.Constant(0.25),
        I.Orthogonal(2.0),
        I.RandomNormal(1.0, 3.0),
        I.TruncatedNormal(1.0, 3.0),
        I.RandomUniform(-1.0, 3.0),
    ]
    dense = [L.Dense(50, kernel_initializer=i)(x) for i in [*plain, *scaled, *more]]
    axes = I.HeNormal(input_axes=[1], output_axes=[0])
    dense.append(L.Dense(50, kernel_initializer=axes)(x))
    dense.append(L.Dense(30, kernel_initializer=I.Identity())(x))
    images = [
        L.Conv2D(20, 3),
        L.Conv2DTranspose(40, 3),
        L.DepthwiseConv2D(5, depth_multiplier=4),
        L.SeparableConv2D(90, 3, depth_multiplier=3),
        L.BatchNormalization(renorm=True, moving_variance_initializer=I.Constant(4.0)),
        L.PReLU(alpha_initializer="he_normal"),
    ]
    sequences = [
        L.LSTM(20, bias_initializer="random_normal"),
        L.GRU(20),
        L.SimpleRNN(20, recurrent_initializer="glorot_normal"),
        L.Conv1D(9, 4, kernel_initializer=I.Orthogonal()),
        L.EinsumDense("abc,cde->abde", (None, 8, 9)),
        L.EinsumDense("abc,bcd->ad", (20,), kernel_initializer="he_uniform"),
        L.SpectralNormalization(L.Dense(300)),
        L.Bidirectional(L.GRU(15)),
        convnext.LayerScale(0.5, 30),
    ]
    outputs = [layer(image) for layer in images] + [layer(rows) for layer in sequences]
    outputs += [
        L.MultiHeadAttention(5, 9, value_dim=11, use_gate=True)(rows, rows),
        L.GroupQueryAttention(6, 8, 2)(rows, rows),
        L.AdditiveAttention()([L.Dense(900)(rows)] * 2),
        L.ConvLSTM1D(8, 3)(L.Reshape((6, 6, 12))(image)),
        L.Conv1D(5, 8, kernel_initializer=I.STFT("imag", "hamming", "spectrum", True))(
            L.Reshape((30, 1))(x)
        ),
        L.STFTSpectrogram("stft", 5)(rows),
        L.Embedding(50, 20)(token),
        L.ReversibleEmbedding(50, 20, tie_weights=False)(token),
    ]
    return keras.Model([x, image, rows, token], dense + outputs)


def test_initial_weights_have_the_distribution_of_keras():
    """Arrays have the same mean, deviation and tails; matrices also the same norm."""
    keras.utils.set_random_seed(0)
    model, wanted = import_model(starting())
    inputs = [np.ones((1, *each.shape[1:]), each.dtype) for each in _inputs(model)]
    found = flatten_dict(jax.jit(model.init)(jax.random.key(0), inputs))
    wanted = flatten_dict(wanted)
    assert found.keys() == wanted.keys()
    for path, theirs in wanted.items():
        ours, theirs = np.asarray(found[path], float), np.asarray(theirs, float)
        deviation = theirs.std()
        if len(np.unique(theirs)) < 3 or path[-1] in ("real_kernel", "imag_kernel"):
            np.testing.assert_allclose(ours, theirs, 0, 1e-6, err_msg=str(path))
            continue
        error = 7 / np.sqrt(theirs.size)  # five standard errors of the difference
        assert abs(ours.mean() - theirs.mean()) < error * deviation, path
        assert abs(ours.std() / deviation - 1) < error, path
        tails = [np.mean(abs(each) > 1.5 * deviation) for each in (ours, theirs)]
        assert abs(tails[0] - tails[1]) < error, path
        if theirs.ndim == 2:
            ours, theirs = (np.linalg.norm(each, 2) for each in (ours, theirs))
            assert abs(ours / theirs - 1) < error + 0.1, path


def _inputs(model):
    from fdl.keras.graph.arrays import examples

    return examples(model.graph)


def noisy():
    x, image = L.Input((4, 6)), L.Input((3, 4, 6))
    outputs = [
        L.Dropout(0.3)(x),
        L.Dropout(0.3, noise_shape=(None, 1, 6))(x),
        L.SpatialDropout1D(0.3)(x),
        L.SpatialDropout2D(0.3)(image),
        L.SpatialDropout2D(0.3, data_format="channels_first")(image),
        L.AlphaDropout(0.3)(x),
        L.AlphaDropout(0.3, noise_shape=(None, 4, 1))(x),
        L.GaussianDropout(0.3)(x),
        L.GaussianNoise(0.7)(x),
        convnext.StochasticDepth(0.3)(x),
        L.SimpleRNN(3, dropout=0.3, recurrent_dropout=0.4, return_sequences=True)(x),
        L.LSTM(3, dropout=0.3, recurrent_dropout=0.4, return_sequences=True)(x),
        L.GRU(3, dropout=0.3, recurrent_dropout=0.4, return_sequences=True)(x),
        L.GRU(3, recurrent_dropout=0.4, reset_after=False, return_sequences=True)(x),
        L.RNN([L.LSTMCell(3, dropout=0.3), L.GRUCell(2, recurrent_dropout=0.4)])(x),
        L.ConvLSTM1D(2, 3, dropout=0.3, recurrent_dropout=0.4)(image),
        L.MultiHeadAttention(2, 3, dropout=0.3)(x, x),
        L.GroupQueryAttention(3, 2, 1, dropout=0.3)(x, x),
        L.Attention(dropout=0.3)([x, x]),
        L.AdditiveAttention(dropout=0.3)([x, x]),
    ]
    return keras.Model([x, image], outputs)


def test_noise_has_the_distribution_of_keras():
    """Over many draws, values and sums of values have the same mean and variance."""
    keras.utils.set_random_seed(0)
    theirs = noisy()
    rng, count = np.random.default_rng(0), 3000
    for variable in theirs.weights:
        if "seed" not in variable.path:
            variable.assign(rng.normal(size=variable.shape))
    example = [rng.normal(size=shape) + 1 for shape in ((4, 6), (3, 4, 6))]
    inputs = [np.stack([x.astype(np.float32)] * count) for x in example]
    model, variables = import_model(theirs)
    run = jax.jit(lambda v, x: model.apply(v, x, train=True, rngs=keys))
    keys = {"dropout": jax.random.key(0)}
    far = {}
    pairs = zip(run(variables, inputs), theirs(inputs, training=True), strict=True)
    for layer, (ours, wanted) in zip(theirs.outputs, pairs, strict=True):
        name = layer._keras_history.operation.name
        parts = [np.asarray(y, float).reshape(count, -1) for y in (ours, wanted)]
        # Sums show which values are dropped together.
        weights = rng.normal(size=(parts[0].shape[1], 8))
        a, b = (np.hstack([each, each @ weights]) for each in parts)
        squares = [(y - y.mean(0)) ** 2 for y in (a, b)]
        for one, two in ((a, b), squares):
            error = np.sqrt((one.var(0) + two.var(0)) / count) + 1e-6
            deviations = abs(one.mean(0) - two.mean(0)) / error
            far[name] = max(far.get(name, 0), deviations.max())
    assert {name: each for name, each in far.items() if each > 5.5} == {}

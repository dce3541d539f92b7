"""Write tests/data/keras: models saved by Keras, with inputs and outputs.

    python tests/graphs/make_golden_files.py keras
    python tests/graphs/make_golden_files.py tf_keras   # where Keras 2 is installed

Each file contains the bytes of a saved model, its inputs, and Keras' predictions.
"""

import importlib
import sys
import tempfile
from pathlib import Path

import numpy as np

from golden import FOLDER


def images(keras):
    """Convolutions, normalizations and activations."""
    L = keras.layers
    x = L.Input((8, 8, 3), name="image")
    y = L.Conv2D(4, 3, use_bias=False, name="conv")(x)
    y = L.BatchNormalization(momentum=0.9, name="norm")(y)
    y = L.LeakyReLU(name="leaky")(y)
    y = L.SeparableConv2D(4, 3, padding="same", name="separable")(y)
    y = L.DepthwiseConv2D(3, strides=2, activation="relu", name="depthwise")(y)
    y = L.Conv2DTranspose(3, 2, strides=2, activation="elu", name="transposed")(y)
    y = L.GlobalAveragePooling2D(name="pool")(y)
    y = L.Dense(3, activation="softmax", kernel_regularizer="l2", name="head")(y)
    return keras.Model(x, y, name="images")


def sequences(keras):
    """Masks, recurrent layers and attention."""
    L = keras.layers
    token = L.Input((5,), dtype="int32", name="token")
    x = L.Embedding(7, 4, mask_zero=True, name="embedding")(token)
    both = L.Bidirectional(L.LSTM(3, return_sequences=True), name="both")(x)
    gru = L.GRU(3, recurrent_activation="hard_sigmoid", name="gru")(both)
    cells = [L.SimpleRNNCell(3), L.LSTMCell(2)]
    stacked = L.RNN(cells, name="stacked")(L.LayerNormalization(name="norm")(x))
    encoded, h, c = L.LSTM(3, return_sequences=True, return_state=True, name="start")(x)
    decoded = L.LSTM(3, name="end")(encoded, initial_state=[h, c])
    attended = L.MultiHeadAttention(2, 3, name="attention")(x, both)
    attended = L.TimeDistributed(L.Dense(3), name="each")(attended)
    pooled = L.GlobalAveragePooling1D(name="mean")(attended)
    y = L.Concatenate(name="all")([gru, stacked, decoded, pooled])
    return keras.Model(token, [y, attended], name="sequences")


def nested(keras):
    """A layer that is used twice, nested models, and frozen parts."""
    L = keras.layers
    a, b = L.Input((4,), name="a"), L.Input((4,), name="b")
    shared = L.Dense(4, activation="tanh", name="shared")
    tower = [L.Dense(4, name="dense"), L.BatchNormalization(name="norm")]
    tower = keras.Sequential([*tower, L.Dense(4, name="last")], name="tower")
    inside = L.Input((4,), name="inside")
    two = L.Dense(2, name="two")(inside)
    fork = keras.Model(inside, [two, L.Dense(4, name="four")(inside)], name="fork")
    fixed = keras.Sequential([L.Dense(4, name="up"), L.ReLU(name="relu")], name="fixed")
    small, wide = fork(tower(shared(a)))
    other, _ = fork(tower(shared(b)))
    y = L.Add(name="sum")([wide, fixed(shared(b))])
    tower.layers[0].trainable = False
    fixed.trainable = False
    return keras.Model([a, b], {"y": y, "small": small, "other": other}, name="nested")


def operations(keras):
    """Functions between layers: from `keras.ops` or, in Keras 2, from TensorFlow."""
    L = keras.layers
    x, y = L.Input((3, 4), name="x"), L.Input((3, 4), name="y")
    shown = [x + y, 1.0 - x, x * 2.0, -x / (y * y + 1.0), abs(x) ** 0.5, x[:, 1:, ::2]]
    shown += [x[:, -1], x[..., None]]
    if keras.__name__ == "keras":
        return keras.Model([x, y], shown, name="operations")
    import tensorflow as tf

    shown.append(L.Dense(2, name="block/dense")(x * x))
    p = tf.exp(x)
    for name in """relu relu6 selu elu softsign softplus silu gelu leaky_relu softmax
    log_softmax""".split():
        shown.append(getattr(tf.nn, name)(x))
    for name in """reduce_mean reduce_sum reduce_max reduce_min reduce_prod reduce_std
    reduce_variance reduce_logsumexp""".split():
        shown.append(getattr(tf.math, name)(x, axis=1, keepdims=name.endswith("x")))
    for name in """abs ceil cos cosh erf exp expm1 floor log_sigmoid negative sigmoid
    sign sin sinh sqrt square rsqrt reciprocal log log1p tan tanh""".split():
        shown.append(getattr(tf.math, name)(p))
    for name in """greater less_equal floordiv floormod maximum minimum pow divide
    divide_no_nan""".split():
        shown.append(tf.cast(getattr(tf.math, name)(p, y), "float32"))
    shown += [
        tf.reshape(x, [-1, 12]),
        tf.transpose(x, [0, 2, 1]),
        tf.expand_dims(x, 1),
        tf.squeeze(x[:, :1], 1),
        tf.concat([x, y], -1),
        tf.stack([x, y], 1),
        tf.split(x, [1, 3], -1)[1],
        tf.split(x, 2, -1)[1],
        tf.clip_by_value(x, -0.5, 0.5),
        tf.tile(x, [1, 2, 1]),
        tf.one_hot(tf.argmax(x, -1), 4),
        tf.where(x > 0, x, y),
        tf.gather(x, [2, 0], axis=1),
        tf.pad(x, [[0, 0], [1, 2], [0, 1]]),
        tf.matmul(x, y, transpose_b=True),
        tf.math.l2_normalize(x, -1),
    ]
    return keras.Model([x, y], shown, name="operations")


def prepared(model, rng):
    """Give a model distinct weights, and yield the names and values of its inputs."""
    weights = []
    for variable in model.weights:
        value = rng.normal(size=variable.shape) * 0.4
        if "variance" in variable.name or "gamma" in variable.name:
            value = np.abs(value) + 0.5
        weights.append(value)
    model.set_weights(weights)
    for tensor in model.inputs:
        name, shape = tensor.name, [4, *tensor.shape[1:]]
        if name == "token":
            yield name, rng.integers(0, 5, shape).astype(np.int32)
        else:
            yield name, rng.normal(size=shape).astype(np.float32)


def main():
    keras = importlib.import_module(sys.argv[1])
    version = 2 if sys.argv[1] == "tf_keras" else 3
    FOLDER.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for make in (images, sequences, nested, operations):
        model = make(keras)
        inputs = dict(prepared(model, rng))
        given = list(inputs.values())
        outputs = model(given if len(given) > 1 else given[0], training=False)
        if not isinstance(outputs, dict):
            several = outputs if isinstance(outputs, list) else [outputs]
            outputs = {f"{number:02}": y for number, y in enumerate(several)}
        for kind in (".keras", ".h5"):
            if (version, make, kind) == (2, operations, ".keras"):
                continue  # it cannot store the ellipsis of an index
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / f"model{kind}"
                model.save(path)
                content = np.frombuffer(path.read_bytes(), np.uint8)
            np.savez_compressed(
                FOLDER / f"keras{version}-{make.__name__}{kind}.npz",
                saved=content,
                **{f"input {name}": x for name, x in inputs.items()},
                **{f"output {name}": np.array(y) for name, y in outputs.items()},
            )


if __name__ == "__main__":
    main()

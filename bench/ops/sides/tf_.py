"""TensorFlow: its functions and Keras' layers, in a `tf.function`."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bench.ops.draws import Arrays, Draw, cotangent
from bench.ops.programs import FIRST_STEPS, RATE, Program, Use
from bench.speed.twin import Precision


def program(
    draw: Draw, operation: str, use: Use, precision: Precision | None
) -> Program:
    """Trace an operation."""
    keras.utils.clear_session()
    tf.config.experimental.enable_tensor_float_32_execution(precision != "float32")
    make = _OPERATIONS[operation]
    arrays = {name: tf.Variable(x) for name, x in draw.arrays.items()}
    constants = {name: tf.constant(x) for name, x in draw.constants.items()}
    apply = make(arrays, constants, **draw.options)
    leaves = list(arrays.values())

    @tf.function(autograph=False)
    def forward() -> Any:
        return apply(False)

    dy = tf.constant(cotangent(tuple(forward().shape)))

    @tf.function(autograph=False)
    def training() -> Any:
        with tf.GradientTape() as tape:
            y = apply(True)
        return y, [
            tf.convert_to_tensor(slope) for slope in tape.gradient(y, leaves, dy)
        ]

    @tf.function(autograph=False)
    def step() -> Any:
        y, slopes = training()
        for leaf, slope in zip(leaves, slopes, strict=True):
            leaf.assign_sub(RATE * slope)
        return y

    def first() -> Arrays:
        if use == "forward":
            return {"output": forward().numpy()}
        if use == "training":
            y, found = training()
        else:
            for _ in range(FIRST_STEPS):
                y = step()
            found = leaves
        named = {name: x.numpy() for name, x in zip(arrays, found, strict=True)}
        return {"output": y.numpy(), **named}

    call = {"forward": forward, "training": training, "loop": step}[use]

    def run(times: int) -> Any:
        y = None
        for _ in range(times):
            y = call()
        return np.asarray(tf.nest.flatten(y)[0][..., :1])  # waits on a GPU, too

    return Program(first, run)


def _conv(
    arrays: Any, _: Any, strides: Any, padding: str, dilation: Any, groups: int
) -> Any:
    return lambda train: tf.nn.conv2d(
        arrays["x"], arrays["kernel"], strides, padding.upper(), dilations=dilation
    )


def _depthwise(arrays: Any, _: Any, strides: Any, padding: str) -> Any:
    return lambda train: tf.nn.depthwise_conv2d(
        arrays["x"], arrays["kernel"], (1, *strides, 1), padding.upper()
    )


def _conv_transpose(arrays: Any, _: Any, strides: Any, padding: str) -> Any:
    batch, height, width, _ = arrays["x"].shape
    shape = (batch, height * strides[0], width * strides[1], arrays["kernel"].shape[2])
    return lambda train: tf.nn.conv2d_transpose(
        arrays["x"], arrays["kernel"], shape, strides, padding.upper()
    )


def _pool(f: Any) -> Any:
    def make(arrays: Any, _: Any, window: Any, strides: Any, padding: str) -> Any:
        return lambda train: f(arrays["x"], window, strides, padding.upper())

    return make


def _global_avg_pool(arrays: Any, _: Any) -> Any:
    return lambda train: tf.reduce_mean(arrays["x"], (1, 2))


def _upsample(arrays: Any, _: Any, factor: Any, method: str) -> Any:
    _, height, width, _ = arrays["x"].shape
    size = (height * factor[0], width * factor[1])
    return lambda train: tf.image.resize(arrays["x"], size, method)


def _dense(arrays: Any, _: Any) -> Any:
    return lambda train: tf.linalg.matmul(arrays["x"], arrays["kernel"])


def _local_response_norm(
    arrays: Any, _: Any, size: int, k: float, alpha: float, beta: float
) -> Any:
    return lambda train: tf.nn.lrn(arrays["x"], size // 2, k, alpha, beta)


def _layer(make: Any, names: dict[str, str]) -> Any:
    """Return an operation that calls a Keras layer; `names` maps fdl's array names."""

    def made(arrays: Any, constants: Any, **options: Any) -> Any:
        x = arrays["x"] if "x" in arrays else constants["ids"]
        layer = make(arrays, **options)
        if isinstance(layer, keras.layers.MultiHeadAttention):
            layer.build(x.shape, x.shape)
            run = lambda train: layer(x, x, training=train)
        else:
            layer.build(x.shape)
            run = lambda train: layer(x, training=train)
        by_path = {"/".join(w.path.split("/")[1:]): w for w in layer.weights}
        for name, path in names.items():
            (weight,) = (w for key, w in by_path.items() if key.endswith(path))
            weight.assign((arrays | constants)[name])
            if name in arrays:
                arrays[name] = weight.value
        return run

    return made


def _recurrent(layer: Any) -> Any:
    make = lambda arrays: layer(
        arrays["recurrent_kernel"].shape[0], return_sequences=True
    )
    return _layer(
        make,
        {
            "kernel": "cell/kernel",
            "recurrent_kernel": "recurrent_kernel",
            "bias": "bias",
        },
    )


_AFFINE = {"scale": "gamma", "bias": "beta"}
_ATTENTION = {
    f"{part}_{kind}": f"{path}/{kind}"
    for part, path in (
        ("query", "query"),
        ("key", "key"),
        ("value", "value"),
        ("out", "attention_output"),
    )
    for kind in ("kernel", "bias")
}
_OPERATIONS: dict[str, Any] = {
    "conv": _conv,
    "depthwise": _depthwise,
    "conv_transpose": _conv_transpose,
    "max_pool": _pool(tf.nn.max_pool2d),
    "avg_pool": _pool(tf.nn.avg_pool2d),
    "global_avg_pool": _global_avg_pool,
    "upsample": _upsample,
    "dense": _dense,
    "batch_norm": _layer(
        lambda arrays: keras.layers.BatchNormalization(),
        {**_AFFINE, "mean": "moving_mean", "var": "moving_variance"},
    ),
    "group_norm": _layer(
        lambda arrays, groups: keras.layers.GroupNormalization(groups), _AFFINE
    ),
    "local_response_norm": _local_response_norm,
    "layer_norm": _layer(lambda arrays: keras.layers.LayerNormalization(), _AFFINE),
    "lstm": _recurrent(keras.layers.LSTM),
    "gru": _recurrent(keras.layers.GRU),
    "simple_rnn": _recurrent(keras.layers.SimpleRNN),
    "attention": _layer(
        lambda arrays, heads: keras.layers.MultiHeadAttention(
            heads, arrays["x"].shape[-1] // heads
        ),
        _ATTENTION,
    ),
    "embedding": _layer(
        lambda arrays: keras.layers.Embedding(*arrays["table"].shape),
        {"table": "embeddings"},
    ),
}

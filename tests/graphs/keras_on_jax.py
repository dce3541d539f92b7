"""Keras computations on JAX, where those on TensorFlow are less exact or missing.

TensorFlow rounds the options of some activations to float32, resizes in float32, looks
up bicubic weights in a table, and computes the triangles of mel bands in float32. It
has no 3D pooling in float64, and on CPU no convolutions with channels first.
"""

import contextlib
import inspect
from functools import partial, partialmethod
from unittest import mock

import jax
import numpy as np

from lazily import Lazily, keras, tf

on_tensorflow = Lazily("keras.src.backend.tensorflow")
jax_image = Lazily("keras.src.backend.jax.image")
jax_nn = Lazily("keras.src.backend.jax.nn")

ROUNDED = "gelu leaky_relu relu elu celu hard_shrink soft_shrink".split()
WINDOWS = """conv depthwise_conv separable_conv conv_transpose max_pool
average_pool adaptive_max_pool adaptive_average_pool""".split()


def _on_jax(function):
    def call(*args, **kwargs):
        plain = lambda x: (
            np.asarray(x) if isinstance(x, tf.Tensor | keras.Variable) else x
        )
        args, kwargs = keras.tree.map_structure(plain, (args, kwargs))
        return tf.convert_to_tensor(np.asarray(function(*args, **kwargs)))

    return call


def _in_one_program(function):
    """Compile a function of an array and options, which then takes less time."""
    return lambda x, *args, **kwargs: jax.jit(lambda x: function(x, *args, **kwargs))(x)


def _where_needed(theirs, on_jax):
    signature = inspect.signature(theirs)

    def call(*args, **kwargs):
        given = signature.bind(*args, **kwargs).arguments
        dilated = (
            "output_padding" in given and np.max(given.get("dilation_rate", 1)) > 1
        )
        channels_first = given.get("data_format") == "channels_first"
        pools = given.keys() & {"pool_size", "output_size"}
        volumes = pools and len(args[0].shape) == 5
        return (on_jax if channels_first or dilated or volumes else theirs)(
            *args, **kwargs
        )

    return call


def _mel(call, layer, inputs):
    layer.backend.set_backend("jax")
    triangles = partial(type(layer).linear_to_mel_weight_matrix, layer, dtype="float64")
    try:
        with mock.patch.object(layer, "linear_to_mel_weight_matrix", triangles):
            y = jax.jit(partial(call, layer))(np.asarray(inputs))
    finally:
        layer.backend.reset()
    return tf.convert_to_tensor(np.asarray(y))


@contextlib.contextmanager
def exact():
    """Compute in float64 where Keras on TensorFlow does not."""
    nn, image = on_tensorflow.nn, on_tensorflow.image
    with contextlib.ExitStack() as stack:
        patch = lambda where, name, value: stack.enter_context(
            mock.patch.object(where, name, value)
        )
        for name in ROUNDED:
            patch(nn, name, _on_jax(getattr(jax_nn, name)))
        for name in WINDOWS:
            made = _where_needed(getattr(nn, name), _on_jax(getattr(jax_nn, name)))
            patch(nn, name, made)
        patch(image, "resize", _on_jax(_in_one_program(jax_image.resize)))
        mel = keras.layers.MelSpectrogram
        patch(mel, "call", partialmethod(partial(_mel, mel.call)))
        with jax.enable_x64(True):
            yield

"""The table of layers: each row is a function that picks shapes and options.

A row returns the layer of fdl and that of Keras with the same options, and inputs for
both.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as linen
import numpy as np

from fdl import nn
from lazily import keras, tf
from parity.pick import Pick, normal, number, pair, steps
from parity.sides import Subject

Row = Callable[[Pick], Subject]
LAYERS: dict[str, Row] = {}
# TensorFlow interpolates in float32, whatever the dtype of the image.
ONLY_SINGLE = ("UpSampling2D_bilinear",)


class Function(linen.Module):
    """A function without parameters as a module."""

    function: Callable[..., Any]

    def __call__(self, *inputs: Any) -> Any:
        return self.function(*inputs)


def row(function: Callable[[Pick], tuple[Any, Callable[[], Any], tuple]]) -> Row:
    """Add a row: `pick -> (module of fdl, builder of the Keras layer, inputs)`."""
    name = function.__name__

    def subject(pick: Pick) -> Subject:
        model, make_layer, inputs = function(pick)

        def twin() -> Any:
            arguments = [
                keras.Input(
                    x.shape[1:], dtype=None if x.dtype == np.float32 else x.dtype
                )
                for x in inputs
            ]
            outputs = make_layer()(*arguments)
            one = arguments[0] if len(arguments) == 1 else arguments
            return keras.Model(one, outputs)

        precisions = ("float32",) if name in ONLY_SINGLE else ("float32", "float64")
        return Subject(
            name,
            model,
            twin,
            inputs,
            precisions=precisions,
        )

    LAYERS[name] = subject
    return subject


def images(pick: Pick, smallest: tuple[int, int] = (1, 1), channels: int = 0) -> tuple:
    """Draw a batch of images of unusual sizes, some with axes of size 1."""
    height, width = (number(pick, low, low + 6) for low in smallest)
    batch, channels = number(pick, 1, 3), channels or number(pick, 1, 4)
    return (normal(batch, height, width, channels),)


def window(pick: Pick) -> dict[str, Any]:
    """Choose a window and its strides, which are 1 if it is dilated."""
    kernel_size = pair(pick, 1, 4)
    dilated = pick.one([False, False, True])
    dilation = pair(pick, 1, 3) if dilated else (1, 1)
    return {
        "kernel_size": kernel_size,
        "strides": (1, 1) if dilated else pair(pick, 1, 5),
        "padding": pick.one(["valid", "same"]),
        "dilation": dilation,
        "span": tuple(
            (k - 1) * d + 1 for k, d in zip(kernel_size, dilation, strict=True)
        ),
    }


@row
def Dense(pick: Pick) -> Any:
    features, use_bias = number(pick, 1, 5), pick.one([True, False])
    shape = pick.one([(3, 4), (1, 1), (2, 3, 5)])
    return (
        nn.Dense(features, use_bias=use_bias),
        lambda: keras.layers.Dense(features, use_bias=use_bias),
        (normal(*shape),),
    )


@row
def Conv1D(pick: Pick) -> Any:
    groups = pick.one([1, 1, 2])
    features, size = groups * number(pick, 1, 3), number(pick, 1, 4)
    stride, dilation = pick.one([(1, 1), (2, 1), (5, 1), (1, 2), (1, 3)])
    padding = pick.one(["valid", "same", "causal"])
    x = normal(number(pick, 1, 3), number(pick, 10, 13), groups * number(pick, 1, 3))
    return (
        nn.Conv1D(features, size, stride, padding, dilation, groups),
        lambda: keras.layers.Conv1D(
            features, size, stride, padding, dilation_rate=dilation, groups=groups
        ),
        (x,),
    )


@row
def Conv2D(pick: Pick) -> Any:
    how, groups = window(pick), pick.one([1, 1, 2])
    features, use_bias = groups * number(pick, 1, 3), pick.one([True, False])
    span = how.pop("span")
    dilation = how.pop("dilation")
    return (
        nn.Conv2D(features, **how, dilation=dilation, groups=groups, use_bias=use_bias),
        lambda: keras.layers.Conv2D(
            features, **how, dilation_rate=dilation, groups=groups, use_bias=use_bias
        ),
        images(pick, span, groups * number(pick, 1, 3)),
    )


@row
def DepthwiseConv2D(pick: Pick) -> Any:
    how, multiplier = window(pick), number(pick, 1, 3)
    span, dilation = how.pop("span"), how.pop("dilation")
    how["strides"] = (how["strides"][0],) * 2  # TensorFlow needs equal strides
    return (
        nn.DepthwiseConv2D(**how, dilation=dilation, depth_multiplier=multiplier),
        lambda: keras.layers.DepthwiseConv2D(
            **how, dilation_rate=dilation, depth_multiplier=multiplier
        ),
        images(pick, span),
    )


@row
def SeparableConv2D(pick: Pick) -> Any:
    how, multiplier, features = window(pick), number(pick, 1, 3), number(pick, 1, 4)
    span, dilation = how.pop("span"), how.pop("dilation")
    how["strides"] = (how["strides"][0],) * 2  # TensorFlow needs equal strides
    return (
        nn.SeparableConv2D(
            features, **how, dilation=dilation, depth_multiplier=multiplier
        ),
        lambda: keras.layers.SeparableConv2D(
            features, **how, dilation_rate=dilation, depth_multiplier=multiplier
        ),
        images(pick, span),
    )


@row
def Conv2DTranspose(pick: Pick) -> Any:
    # Strides wider than the kernel leave pixels that no kernel reaches.
    ends = [(padding, wide) for padding in ("valid", "same") for wide in (False, True)]
    padding, wide = pick.one(ends)
    height, width = pair(pick, 1, 5)
    rows, columns = pair(pick, 1, 3)
    how = {
        "kernel_size": (height, width),
        "strides": (height + rows, width + columns) if wide else (rows, columns),
        "padding": padding,
    }
    features = number(pick, 1, 3)
    return (
        nn.Conv2DTranspose(features, **how),
        lambda: keras.layers.Conv2DTranspose(features, **how),
        images(pick),
    )


def pooling(pick: Pick, ours: Callable, theirs: str, draw: Callable) -> Any:
    size, strides = pair(pick, 1, 4), pick.one([None, (1, 1), (2, 1), (5, 3)])
    padding = pick.one(["valid", "same"])
    height, width = (number(pick, low, low + 6) for low in size)
    return (
        Function(lambda x: ours(x, size, strides=strides, padding=padding)),
        lambda: getattr(keras.layers, theirs)(size, strides, padding),
        (draw(number(pick, 1, 3), height, width, number(pick, 1, 4)),),
    )


@row
def MaxPooling2D(pick: Pick) -> Any:
    # With ties: which of the equal values gets the gradient?
    return pooling(pick, nn.max_pool, "MaxPooling2D", pick.one([normal, steps]))


@row
def AveragePooling2D(pick: Pick) -> Any:
    return pooling(pick, nn.avg_pool, "AveragePooling2D", normal)


@row
def GlobalMaxPooling2D(pick: Pick) -> Any:
    draw, size = pick.one([normal, steps]), pair(pick, 1, 5)
    x = draw(number(pick, 1, 3), *size, number(pick, 1, 4))
    return Function(nn.global_max_pool), keras.layers.GlobalMaxPooling2D, (x,)


@row
def GlobalAveragePooling2D(pick: Pick) -> Any:
    layer = keras.layers.GlobalAveragePooling2D
    return Function(nn.global_avg_pool), layer, images(pick)


@row
def ZeroPadding2D(pick: Pick) -> Any:
    pads = pick.one([1, (pair(pick, 0, 3), pair(pick, 0, 3))])
    return (
        Function(lambda x: nn.zero_pad(x, pads)),
        lambda: keras.layers.ZeroPadding2D(pads),
        images(pick),
    )


@row
def ReflectionPadding2D(pick: Pick) -> Any:
    pads = pick.one([1, (pair(pick, 0, 3), pair(pick, 0, 3))])
    sides = ((pads, pads), (pads, pads)) if isinstance(pads, int) else pads
    return (
        Function(lambda x: nn.reflection_pad(x, pads)),
        lambda: lambda x: keras.ops.pad(x, ((0, 0), *sides, (0, 0)), "reflect"),
        images(pick, (4, 4)),
    )


@row
def LocalResponseNormalization(pick: Pick) -> Any:
    size, beta = pick.one([1, 3, 5, 7]), pick.one([0.75, 0.75, 0.5, 1.25])
    k, alpha = (
        pick.one([1.0, 2.0]),
        pick.one([0.25, 1.0]),
    )  # large enough to affect gradients

    def theirs(x: Any) -> Any:
        class Lrn(keras.layers.Layer):
            def call(self, x: Any) -> Any:
                if x.dtype == tf.float32:
                    return tf.nn.lrn(x, size // 2, k, alpha, beta)
                # TensorFlow has no other dtype: the paper's sum, term by term.
                channels, total = x.shape[-1], 0.0
                for step in range(-(size // 2), size // 2 + 1):
                    here = tf.range(channels) + step
                    inside = tf.clip_by_value(here, 0, channels - 1)
                    there = tf.gather(x, inside, axis=-1)
                    is_one = tf.cast((here >= 0) & (here < channels), x.dtype)
                    total += is_one * there**2
                return x / (k + alpha * total) ** beta

        return Lrn()(x)

    return (
        Function(
            lambda x: nn.local_response_norm(x, size=size, k=k, alpha=alpha, beta=beta)
        ),
        lambda: theirs,
        images(pick, channels=number(pick, 1, 9)),
    )


def upsampling(pick: Pick, method: str) -> Any:
    factor = pair(pick, 1, 3)
    return (
        Function(lambda x: nn.upsample(x, factor, method=method)),
        lambda: keras.layers.UpSampling2D(factor, interpolation=method),
        images(pick),
    )


@row
def UpSampling2D(pick: Pick) -> Any:
    return upsampling(pick, "nearest")


@row
def UpSampling2D_bilinear(pick: Pick) -> Any:
    return upsampling(pick, "bilinear")


@row
def BatchNormalization(pick: Pick) -> Any:
    momentum = pick.one([0.75, 0.5])  # exact in float32
    epsilon = pick.one([2**-10, 2**-4])
    x = pick.one(
        [normal(3, 4, 5, 2), normal(7, 3), normal(2, 5, 3), normal(2, 1, 1, 1)]
    )
    return (
        nn.BatchNormalization(momentum=momentum, epsilon=epsilon),
        lambda: keras.layers.BatchNormalization(momentum=momentum, epsilon=epsilon),
        (x,),
    )


@row
def LayerNormalization(pick: Pick) -> Any:
    x = pick.one([normal(3, 4), normal(2, 5, 3), normal(1, 2, 3, 8)])
    return nn.LayerNormalization(), keras.layers.LayerNormalization, (x,)


@row
def GroupNormalization(pick: Pick) -> Any:
    groups, each, axes = (number(pick, 1, 3) for _ in range(3))
    sizes = [number(pick, 2, 6) for _ in range(axes)]
    own = {} if axes == 2 else {"reduction_axes": tuple(range(-axes - 1, 0))}
    return (
        nn.GroupNormalization(groups, **own),
        lambda: keras.layers.GroupNormalization(groups),
        (normal(number(pick, 1, 3), *sizes, groups * each),),
    )


@row
def InstanceNormalization(pick: Pick) -> Any:
    return (
        nn.InstanceNormalization(),
        lambda: keras.layers.GroupNormalization(groups=-1),
        images(pick, (2, 2)),
    )

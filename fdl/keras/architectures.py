"""Models as Keras would describe them, as plain data: what `.keras` files are read by.

A new model is one function here, which says in Keras' words what its `__call__` says.
Layers with weights have fdl's names, and stand in the order in which fdl defines them.
"""

import functools
import math
from typing import Any

import flax.linen as nn

from fdl.models import (
    CNN,
    MLP,
    DCGANDiscriminator,
    DCGANGenerator,
    DenseDiscriminator,
    DenseGenerator,
)
from fdl.weights import WeightsError

Config = dict[str, Any]


def layer(class_name: str, **config: Any) -> Config:
    """Describe a layer; Keras has defaults for all that is not said."""
    return {"module": "keras.layers", "class_name": class_name, "config": config}


def sequential(model: nn.Module, shape: tuple[int, ...], dtype: str) -> Config:
    """Describe a model whose layers follow each other.

    Args:
        model: A model that `layers_of` knows.
        shape: Shape of one input, without the batch.
        dtype: Type of the weights, in which Keras then computes.

    Raises:
        WeightsError: If `layers_of` does not know the model.

    Example:
        >>> config = sequential(MLP(10, hidden_sizes=()), (28, 28, 1), "float32")
        >>> [layer["class_name"] for layer in config["config"]["layers"]]
        ['InputLayer', 'Flatten', 'Dense']
    """
    first = layer("InputLayer", name="inputs", batch_shape=[None, *shape])
    layers = [first, *layers_of(model)]
    for described in layers:
        described["config"]["dtype"] = dtype
    name = type(model).__name__.lower()
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": name, "layers": layers},
    }


@functools.singledispatch
def layers_of(model: nn.Module) -> list[Config]:
    """Describe the layers of a model, between input and output."""
    raise WeightsError(
        f"{type(model).__name__} cannot be written as .keras, which holds the model "
        "too: write a .weights.h5, which the same model in Keras loads."
    )


@layers_of.register
def _(model: CNN) -> list[Config]:
    first, second, third = model.features
    convolve = functools.partial(layer, "Conv2D", kernel_size=[3, 3], activation="relu")
    return [
        convolve(name="conv1", filters=first),
        layer("MaxPooling2D", pool_size=[2, 2]),
        convolve(name="conv2", filters=second),
        layer("MaxPooling2D", pool_size=[2, 2]),
        convolve(name="conv3", filters=third),
        layer("Flatten"),
        layer("Dense", name="dense", units=model.hidden_size, activation="relu"),
        layer("Dense", name="head", units=model.num_classes),
    ]


@layers_of.register
def _(model: MLP) -> list[Config]:
    layers = [layer("Flatten")]
    for number, units in enumerate(model.hidden_sizes, start=1):
        layers += [
            layer("Dense", name=f"dense{number}", units=units, activation="relu"),
            layer("Dropout", rate=model.dropout_rate),
        ]
    return [*layers, layer("Dense", name="head", units=model.num_classes)]


@layers_of.register
def _(model: DenseGenerator) -> list[Config]:
    units = math.prod(model.image_shape)
    return [
        layer("Dense", name="dense", units=units, activation="tanh"),
        layer("Reshape", target_shape=list(model.image_shape)),
    ]


@layers_of.register
def _(model: DenseDiscriminator) -> list[Config]:
    return [layer("Flatten"), layer("Dense", name="head", units=1)]


@layers_of.register
def _(model: DCGANGenerator) -> list[Config]:
    height, width, channels = model.image_shape
    small = [height // 4, width // 4, model.features[0]]
    enlarge = functools.partial(
        layer, "Conv2DTranspose", kernel_size=[4, 4], strides=[2, 2], padding="same"
    )
    return [
        layer("Dense", name="dense", units=math.prod(small), use_bias=False),
        layer("Reshape", target_shape=small),
        layer("BatchNormalization", name="norm1"),
        layer("ReLU"),
        enlarge(name="conv1", filters=model.features[1], use_bias=False),
        layer("BatchNormalization", name="norm2"),
        layer("ReLU"),
        enlarge(name="conv2", filters=channels, activation="tanh"),
    ]


@layers_of.register
def _(model: DCGANDiscriminator) -> list[Config]:
    layers = []
    for number, filters in enumerate(model.features, start=1):
        layers += [
            layer(
                "Conv2D",
                name=f"conv{number}",
                filters=filters,
                kernel_size=[4, 4],
                strides=[2, 2],
                padding="same",
            ),
            layer("LeakyReLU", negative_slope=0.2),  # Keras' own default is 0.3
            layer("Dropout", rate=model.dropout_rate),
        ]
    return [*layers, layer("Flatten"), layer("Dense", name="head", units=1)]

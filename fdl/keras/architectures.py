"""Keras' configurations of models, as plain data, for writing `.keras` files.

Each model has one function, which lists the Keras layers that its `__call__` applies.
Layers with weights have the names of fdl's modules, in the order of their definition.
"""

import functools
import math
from typing import Any

import flax.linen as nn

from fdl.models import (
    CNN,
    MLP,
    Autoencoder,
    ConvDecoder,
    ConvEncoder,
    DCGANDiscriminator,
    DCGANGenerator,
    DenseDecoder,
    DenseDiscriminator,
    DenseEncoder,
    DenseGenerator,
    FastCNN,
)
from fdl.models.recurrent import RecurrentClassifier
from fdl.weights import WeightsError

Config = dict[str, Any]


def layer(class_name: str, **config: Any) -> Config:
    """Return the configuration of a layer; Keras fills in defaults."""
    return {"module": "keras.layers", "class_name": class_name, "config": config}


def sequential(model: nn.Module, shape: tuple[int, ...], dtype: str) -> Config:
    """Return the configuration of a sequential model.

    Args:
        model: A model that `layers_of` supports.
        shape: Shape of one input, without the batch axis.
        dtype: Type of the weights, in which Keras will also compute.

    Raises:
        WeightsError: If `layers_of` does not support the model.

    Example:
        >>> config = sequential(MLP(10, hidden_sizes=()), (28, 28, 1), "float32")
        >>> [layer["class_name"] for layer in config["config"]["layers"]]
        ['InputLayer', 'Flatten', 'Dense']
    """
    first = layer("InputLayer", name="inputs", batch_shape=[None, *shape])
    layers = [first, *layers_of(model)]
    for described in layers:
        _set_dtype(described, dtype)
    name = type(model).__name__.lower()
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": name, "layers": layers},
    }


def _set_dtype(described: Config, dtype: str) -> None:
    config = described["config"]
    config["dtype"] = dtype
    if "layer" in config:  # a wrapped layer, which has its own type
        _set_dtype(config["layer"], dtype)


@functools.singledispatch
def layers_of(model: nn.Module) -> list[Config]:
    """Return the configurations of the layers of a model."""
    raise WeightsError(
        f"{type(model).__name__} cannot be written as .keras, which includes the "
        "model: write a .weights.h5, which the same model in Keras can load."
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
def _(model: FastCNN) -> list[Config]:
    first, second = model.features
    return [
        layer(
            "Conv2D",
            name="conv1",
            filters=first,
            kernel_size=[4, 4],
            strides=[2, 2],
            activation="relu",
        ),
        layer("Conv2D", name="conv2", filters=second, kernel_size=[3, 3]),
        layer("MaxPooling2D", pool_size=[2, 2]),
        layer("ReLU"),
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
def _(model: RecurrentClassifier) -> list[Config]:
    layers = []
    for number in range(1, model.num_layers + 1):
        name, kind = f"layer{number}", model.LAYER.__name__
        options = {
            "units": model.hidden_size,
            "return_sequences": number < model.num_layers,
        }
        if model.bidirectional:
            both = layer(kind, name=kind.lower(), **options)
            layers.append(layer("Bidirectional", name=name, layer=both))
        else:
            layers.append(layer(kind, name=name, **options))
        layers.append(layer("Dropout", rate=model.dropout_rate))
    return [*layers, layer("Dense", name="head", units=model.num_classes)]


@layers_of.register
def _(model: Autoencoder) -> list[Config]:
    return [
        *_inside("encoder", layers_of(model.encoder)),
        layer("Dense", name="code", units=model.latent_size),
        *_inside("decoder", layers_of(model.decoder)),
    ]


@layers_of.register
def _(model: DenseEncoder) -> list[Config]:
    return [layer("Flatten"), *_dense(model.hidden_sizes)]


@layers_of.register
def _(model: DenseDecoder) -> list[Config]:
    return [
        *_dense(model.hidden_sizes),
        layer("Dense", name="head", units=math.prod(model.image_shape)),
        layer("Reshape", target_shape=list(model.image_shape)),
    ]


@layers_of.register
def _(model: ConvEncoder) -> list[Config]:
    convolve = functools.partial(layer, "Conv2D", **_HALVES, activation="relu")
    return [
        *(
            convolve(name=f"conv{number}", filters=filters)
            for number, filters in enumerate(model.features, start=1)
        ),
        layer("Flatten"),
        layer("Dense", name="dense", units=model.hidden_size, activation="relu"),
    ]


@layers_of.register
def _(model: ConvDecoder) -> list[Config]:
    height, width, channels = model.image_shape
    times = 2 ** len(model.features)
    small = [height // times, width // times, model.features[0]]
    filters = (*model.features[1:], channels)
    return [
        layer("Dense", name="dense1", units=model.hidden_size, activation="relu"),
        layer("Dense", name="dense2", units=math.prod(small), activation="relu"),
        layer("Reshape", target_shape=small),
        *(
            layer(
                "Conv2DTranspose",
                name=f"conv{number}",
                filters=filters[number - 1],
                activation="relu" if number < len(filters) else "linear",
                **_HALVES,
            )
            for number in range(1, len(filters) + 1)
        ),
    ]


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
            layer("LeakyReLU", negative_slope=0.2),  # the default in Keras is 0.3
            layer("Dropout", rate=model.dropout_rate),
        ]
    return [*layers, layer("Flatten"), layer("Dense", name="head", units=1)]


_HALVES = {"kernel_size": [3, 3], "strides": [2, 2], "padding": "same"}


def _dense(hidden_sizes: tuple[int, ...]) -> list[Config]:
    return [
        layer("Dense", name=f"dense{number}", units=units, activation="relu")
        for number, units in enumerate(hidden_sizes, start=1)
    ]


def _inside(name: str, layers: list[Config]) -> list[Config]:
    """Prefix the names of layers with the name of their module."""
    for described in layers:
        if "name" in described["config"]:
            described["config"]["name"] = f"{name}_{described['config']['name']}"
    return layers

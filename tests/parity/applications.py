"""Every model of `keras.applications`, imported and, if fdl has it, written by hand.

Weights are random, as no file of them is at hand. For the comparison to show anything,
outputs must come from the inputs, and not from biases or amplified rounding: so images
differ from each other in more than noise, and batch statistics are those of the images.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fdl import models
from lazily import keras
from parity.sides import Subject

BATCH, CLASSES = 8, 5
# The smallest sizes, but for ResNet152: at 32 pixels its last maps are single pixels,
# and statistics of eight amplify rounding until Keras in single precision differs from
# Keras in double precision by 1.2e-4.
_SIZES = {"InceptionResNetV2": 75, "InceptionV3": 75, "ResNet152": 64, "Xception": 71}
_SMALL = {  # those that are trained, too
    "DenseNet121",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Large",
    "MobileNetV3Small",
    "NASNetMobile",
}


WRITTEN = (  # those that fdl.models has under the same name
    "DenseNet121",
    "DenseNet169",
    "DenseNet201",
    "InceptionV3",
    "ResNet50",
    "ResNet50V2",
    "ResNet101",
    "ResNet152",
    "VGG16",
    "VGG19",
)


def application(
    name: str, levels: Sequence[int], *, written: bool = False, **options: Any
) -> Subject:
    """Return a model of `keras.applications` as a subject, for the smallest images.

    If it is `written`, the other side is the one of `fdl.models`.
    """
    size = _SIZES.get(name, 32)
    image = _images(size)

    def twin() -> Any:
        model = getattr(keras.applications, name)(
            weights=None,
            input_shape=(size, size, 3),
            classes=CLASSES,
            classifier_activation=None,
            **options,
        )
        _draw(model, image.astype(keras.config.floatx()))
        return model

    model = getattr(models, name)(CLASSES) if written else None
    return Subject(
        name=f"models.{name}" if written else name,
        model=model,
        twin=twin,
        inputs=(image,),
        levels=levels,
        single=1,  # which of two nearly equal pixels is larger decides about gradients
        deep=True,
    )


def _images(size: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    blocks = rng.uniform(0, 255, (BATCH, 5, 5, 3)) * rng.uniform(0, 1, (BATCH, 1, 1, 1))
    blocks = blocks.repeat(-(-size // 5), 1).repeat(-(-size // 5), 2)[:, :size, :size]
    return (blocks * rng.uniform(0.7, 1, blocks.shape)).astype(np.float32)


def _draw(model: Any, image: np.ndarray) -> None:
    """Draw weights that are all distinct, and take statistics from the images."""
    rng = np.random.default_rng(1)
    layers = list(model._flatten_layers())
    norms = [x for x in layers if isinstance(x, keras.layers.BatchNormalization)]
    # What nothing normalizes would fade away in a hundred layers.
    gain = 1.0 if norms else 2**0.5
    for weight in model.weights:
        value, ending = weight.numpy(), weight.path.rpartition("/")[2]
        if ending in ("gamma", "beta", "bias"):
            weight.assign(value + rng.normal(scale=0.2, size=value.shape))
        elif "kernel" in ending:  # as large as Keras draws them
            weight.assign(rng.normal(scale=gain * value.std(), size=value.shape))
    for layer in layers:  # random on both sides: test_dropout.py
        for rate in {"rate", "drop_path_rate"} & set(vars(layer)):
            setattr(layer, rate, 0.0)
        for name in {"scale", "input_mean", "input_variance"} & set(vars(layer)):
            if isinstance(getattr(layer, name), float | list):
                # Numbers as Keras on TensorFlow rounds them.
                setattr(layer, name, np.float32(getattr(layer, name)).tolist())
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(image, training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        variance = norm.moving_variance.numpy()
        norm.moving_variance.assign(variance + 0.1 * variance.mean())
    y = model(image, training=False).numpy()
    assert (y.std(axis=0) > 0.05 * np.abs(y).mean()).all(), "inputs must matter"


def applications() -> dict[str, Callable[[], list[Subject]]]:
    """Return all of `keras.applications`, by name."""
    imported = {
        name: lambda name=name: [application(name, range(4 if name in _SMALL else 2))]
        for name in dir(keras.applications)
        if name[0].isupper()
    }
    written = {
        f"models.{name}": lambda name=name: [application(name, range(3), written=True)]
        for name in WRITTEN
    }
    return {**imported, **written}

"""Every model of `keras.applications`, imported, and compared with fdl's own if any.

Weights are random, as tests have no weight files. For a meaningful comparison, outputs
must depend on the inputs, not on biases or amplified rounding: so images differ by more
than noise, and batch statistics are those of the images.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fdl import models
from lazily import keras
from parity.sides import Subject

BATCH, CLASSES = 8, 5
# The smallest sizes, except for ResNet152: at 32 pixels its last maps are single
# pixels, and batch statistics of eight values amplify rounding until Keras in float32
# differs from Keras in float64 by 1.2e-4.
_SIZES = {"InceptionResNetV2": 75, "InceptionV3": 75, "ResNet152": 64, "Xception": 71}
_SMALL = {  # these are also trained
    "DenseNet121",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Large",
    "MobileNetV3Small",
    "NASNetMobile",
}


WRITTEN = (  # fdl.models has these under the same name
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
    """Return the subject of a model of `keras.applications`, for the smallest images.

    It is compared with the model of `fdl.models` if `written`, else with its import.
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
        single=1,  # gradients depend on which of two nearly equal pixels is larger
        deep=True,
    )


def _images(size: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    blocks = rng.uniform(0, 255, (BATCH, 5, 5, 3)) * rng.uniform(0, 1, (BATCH, 1, 1, 1))
    blocks = blocks.repeat(-(-size // 5), 1).repeat(-(-size // 5), 2)[:, :size, :size]
    return (blocks * rng.uniform(0.7, 1, blocks.shape)).astype(np.float32)


def _draw(model: Any, image: np.ndarray) -> None:
    """Draw distinct weights, and compute batch statistics from the images."""
    rng = np.random.default_rng(1)
    layers = list(model._flatten_layers())
    norms = [x for x in layers if isinstance(x, keras.layers.BatchNormalization)]
    # Without normalization, activations would vanish in a hundred layers.
    gain = 1.0 if norms else 2**0.5
    for weight in model.weights:
        value, ending = weight.numpy(), weight.path.rpartition("/")[2]
        if ending in ("gamma", "beta", "bias"):
            weight.assign(value + rng.normal(scale=0.2, size=value.shape))
        elif "kernel" in ending:  # with the scale of Keras' initial kernels
            weight.assign(rng.normal(scale=gain * value.std(), size=value.shape))
    for layer in layers:  # random on both sides: test_dropout.py
        for rate in {"rate", "drop_path_rate"} & set(vars(layer)):
            setattr(layer, rate, 0.0)
        for name in {"scale", "input_mean", "input_variance"} & set(vars(layer)):
            if isinstance(getattr(layer, name), float | list):
                # Keras on TensorFlow rounds these numbers to float32.
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
    assert (y.std(axis=0) > 0.05 * np.abs(y).mean()).all(), (
        "outputs must depend on the inputs"
    )


def applications() -> dict[str, Callable[[], list[Subject]]]:
    """Return the subjects of all of `keras.applications`, by name."""
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

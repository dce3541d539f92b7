"""The cases of the comparison."""

from typing import Any, NamedTuple

import numpy as np

from bench.speed.twin import Arrays

LATENTS = 64  # of DCGAN


class Case(NamedTuple):
    """A model and its training.

    Attributes:
        title: Short description.
        batch_size: Number of examples in a training step.
        steps: Number of training steps in a block, which is timed as a whole.
        reach: Goal for the fastest tuned rival's time over fdl's.
        dream: A more ambitious goal.
        shape: Shape of an input.
        labels: Whether the model learns labels.
        draws: Sizes of the random draws for each example, by name. fdl draws them
            inside the step; the rivals get the same numbers from memory.
        large: Number of examples in a large training step.
        tolerance: Maximum relative error of the gradients and of the update of the
            first step; for outputs and losses it is always 1e-4.
        inference: Numbers of examples in a prediction.
        pixels: Whether labels are per pixel.
    """

    title: str
    batch_size: int
    steps: int
    reach: float
    dream: float
    shape: tuple[int, ...] = (28, 28, 1)
    labels: bool = True
    draws: tuple[tuple[str, int], ...] = ()
    large: int = 1024
    tolerance: float = 1e-4
    inference: tuple[int, ...] = (1, 64, 1024)
    pixels: bool = False


def _images(title: str, steps: int, side: int = 64, **options: Any) -> Case:
    """Return a case of photographs, with smaller batches.

    Millions of values pass through a ReLU: see the tolerance of DCGAN. In double
    precision, gradients equal those of Linen to 1e-12.
    """
    sizes = {"shape": (side, side, 3), "large": 64, "inference": (1, 16, 64)}
    return Case(title, 16, steps, 1.0, 1.12, **sizes, tolerance=5e-2, **options)


CASES: dict[str, Case] = {
    "mlp": Case("MLP 784-32-10", 32, 1000, 2.86, 5.0),
    "cnn": Case("CNN of the introduction", 64, 25, 1.12, 1.67),
    "lstm": Case("LSTM, 28 steps of 28, 128 units", 64, 30, 1.0, 1.25, (28, 28)),
    "gru": Case("GRU, 28 steps of 28, 128 units", 64, 30, 1.25, 1.67, (28, 28)),
    "transformer": Case("Transformer encoder on patches", 64, 15, 1.12, 1.43),
    "vae": Case(
        "VAE 784-400-400-20",
        100,
        50,
        1.12,
        1.43,
        labels=False,
        draws=(("draw_noise", 20),),
    ),
    "dcgan": Case(
        "DCGAN, one step of each",
        64,
        8,
        1.12,
        1.43,
        labels=False,
        draws=(("draw_discriminator", LATENTS), ("draw_generator", LATENTS)),
        large=256,
        # One of the 600,000 normalized values that pass through a ReLU may be rounded
        # to the other side of zero, which changes the gradients by about 1e-3. This
        # does not happen in double precision, for which a test requires 1e-9.
        tolerance=5e-2,
    ),
    "resnet50": _images("ResNet-50, 64x64 pixels", steps=3),
    "inceptionv3": _images("Inception v3, 75x75 pixels", steps=3, side=75),
    "densenet121": _images("DenseNet-121, 64x64 pixels", steps=3),
    "resnet20": Case(
        "ResNet-20, 32x32 pixels",
        64,
        8,
        1.0,
        1.12,
        (32, 32, 3),
        large=256,
        tolerance=5e-2,  # as with photographs
    ),
    "mobilenet": _images("MobileNetV2, 64x64 pixels", steps=6),
    "unet": _images("U-Net, 64x64 pixels", steps=3, pixels=True),
}


def examples(case: Case, count: int, seed: int = 0) -> Arrays:
    """Draw examples: inputs in [0, 1), labels, and the random draws of a step."""
    rng = np.random.default_rng(seed)
    batch = {"input": rng.random((count, *case.shape), np.float32)}
    if case.labels:
        shape = (count, *case.shape[:2]) if case.pixels else (count,)
        batch["label"] = rng.integers(10, size=shape).astype(np.int32)
    for name, size in case.draws:
        batch[name] = rng.standard_normal((count, size), np.float32)
    return batch

"""The table of what is compared."""

from typing import NamedTuple

import numpy as np

from bench.speed.twin import Arrays

LATENTS = 64  # of DCGAN


class Case(NamedTuple):
    """A model and how it is trained.

    Attributes:
        title: What it is, in a few words.
        batch_size: Examples in a training step.
        steps: Training steps in a block; a block is what is timed.
        reach: The ratio to the best tuned rival that fdl aims at.
        dream: The one that it would like.
        shape: Of an input.
        labels: Whether it learns labels.
        draws: Size of what is drawn for each example, by name. fdl draws in the step;
            the rivals, who need the same numbers to be compared, find them in memory.
        large: Examples in a large training step.
        tolerance: Largest relative error in gradients, and in what the first step adds
            to the parameters; 1e-4 holds for outputs and loss in all cases.
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


CASES: dict[str, Case] = {
    "mlp": Case("MLP 784-32-10", 32, 1000, 0.35, 0.2),
    "cnn": Case("CNN of the introduction", 64, 25, 0.9, 0.6),
    "lstm": Case("LSTM, 28 steps of 28, 128 units", 64, 30, 1.0, 0.8, (28, 28)),
    "gru": Case("GRU, 28 steps of 28, 128 units", 64, 30, 0.8, 0.6, (28, 28)),
    "transformer": Case("Transformer encoder on patches", 64, 15, 0.9, 0.7),
    "vae": Case(
        "VAE 784-400-400-20",
        100,
        50,
        0.9,
        0.7,
        labels=False,
        draws=(("draw_noise", 20),),
    ),
    "dcgan": Case(
        "DCGAN, one step of each",
        64,
        8,
        0.9,
        0.7,
        labels=False,
        draws=(("draw_discriminator", LATENTS), ("draw_generator", LATENTS)),
        large=256,
        # Of the 600,000 normalized values that pass a ReLU, one is rounded to the other
        # side of zero now and then, and each changes the gradients by about 1e-3. In
        # double precision there is no such error: a test asks for 1e-9.
        tolerance=5e-2,
    ),
}

INFERENCE = (1, 64, 1024)


def examples(case: Case, count: int, seed: int = 0) -> Arrays:
    """Draw examples: inputs in [0, 1), labels, and what a step draws."""
    rng = np.random.default_rng(seed)
    batch = {"input": rng.random((count, *case.shape), np.float32)}
    if case.labels:
        batch["label"] = rng.integers(10, size=count).astype(np.int32)
    for name, size in case.draws:
        batch[name] = rng.standard_normal((count, size), np.float32)
    return batch

"""The autoencoder, plain and denoising."""

import dataclasses
import functools
from pathlib import Path

import jax
import numpy as np

from fdl import models
from fdl.arrays import Batch, Number
from fdl.data import Dataset, DatasetInfo
from fdl.learner import Learner
from fdl.learners import reconstructive
from fdl.learners.content import content_keys
from fdl.learners.reconstructive import damage
from fdl.tasks.coding import Architecture, coders, draw_codes, draw_pairs
from fdl.tasks.config import Config
from fdl.tasks.optimizers import make_optimizer
from fdl.tasks.task import Task, Trained


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of the autoencoder.

    Attributes:
        architecture: `dense` or `conv`.
        hidden_sizes: Widths of the encoder's dense layers; the decoder has them the
            other way round. Convolutional ones have sizes of their own.
        latent_size: Numbers in a code.
        noise: Fraction of the pixels that the model does not get to see, from 0 to
            below 1; above 0 for a denoising autoencoder.
    """

    architecture: Architecture = "dense"
    hidden_sizes: tuple[int, ...] = (400, 400)
    latent_size: int = 20
    noise: Number = 0.0


def _model(options: Options, info: DatasetInfo) -> models.Autoencoder:
    parts = coders(options.architecture, options.hidden_sizes, info)
    return models.Autoencoder(options.latent_size, **parts)


def _learn(model: models.Autoencoder, config: Config, info: DatasetInfo) -> Learner:
    return reconstructive(
        model, make_optimizer(config, info), noise=config.options.noise
    )


def _finish(trained: Trained, dataset: Dataset, folder: Path) -> dict[str, float]:
    encode = jax.jit(functools.partial(trained.model.apply, method="encode"))
    image = (np.asarray(dataset.test.image) / 255).astype(np.float32)
    codes = encode({"params": trained.state.params}, image)
    draw_codes(trained, dataset, folder, np.asarray(codes))
    noise = trained.config.options.noise
    if noise:
        test = dataset.test
        given = np.asarray(damage(test.image, content_keys(test.image), noise))
        draw_pairs(trained, folder / "denoised.png", Batch(given, test.label))
    return {}


autoencoder = Task(
    name="autoencoder",
    title="autoencoder, plain or denoising, 965,604 parameters",
    paper="Hinton & Salakhutdinov, 2006, Reducing the dimensionality of data with "
    "neural networks",
    epochs=(30, 100),
    batch_size=100,
    learning_rates={"constant": 1e-3, "one-cycle": 3e-3},
    metric="squared_error",
    mode="min",
    make_model=_model,
    learn=_learn,
    options=Options(),
    finish=_finish,
    predicts="images",
)

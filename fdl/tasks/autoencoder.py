"""The autoencoder, plain and denoising."""

import functools
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fdl import models
from fdl.arrays import Batch
from fdl.data import Dataset, DatasetInfo
from fdl.learner import Learner
from fdl.learners import reconstructive
from fdl.learners.content import content_keys
from fdl.learners.reconstructive import damage
from fdl.tasks.catalog import describe
from fdl.tasks.coding import coders, draw_codes, draw_pairs
from fdl.tasks.config import Config
from fdl.tasks.optimizers import make_optimizer
from fdl.tasks.options import AutoencoderOptions
from fdl.tasks.task import Task, Trained


def _model(options: AutoencoderOptions, info: DatasetInfo) -> models.Autoencoder:
    parts = coders(options.architecture, options.hidden_sizes, info)
    return models.Autoencoder(options.latent_size, **parts)


def _learn(model: Any, config: Config, info: DatasetInfo) -> Learner:
    return reconstructive(
        model, make_optimizer(config, info), noise=config.options.noise
    )


def _finish(trained: Trained, dataset: Dataset, folder: Path) -> dict[str, float]:
    encode = jax.jit(functools.partial(trained.model.apply, method="encode"))
    image = (np.asarray(dataset.test.image) / 255).astype(np.float32)
    codes = encode(trained.variables, image)
    draw_codes(trained, dataset, folder, np.asarray(codes))
    noise = trained.config.options.noise
    if noise:
        test = dataset.test
        given = np.asarray(damage(test.image, content_keys(test.image), noise))
        draw_pairs(trained, folder / "denoised", Batch(given, test.label))
    return {}


autoencoder = Task(
    **vars(describe("autoencoder")),
    make_model=_model,
    learn=_learn,
    finish=_finish,
)

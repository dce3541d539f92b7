"""The variational autoencoder on binarized digits."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fdl import models
from fdl.arrays import Key
from fdl.data import Dataset, DatasetInfo, binarize
from fdl.learner import Learner
from fdl.learners import importance_weighted_bound, variational
from fdl.tasks.catalog import describe
from fdl.tasks.coding import coders, decoder_of, draw_codes
from fdl.tasks.config import Config
from fdl.tasks.optimizers import make_optimizer
from fdl.tasks.options import VAEOptions
from fdl.tasks.task import ExportedModel, Sampling, Task, Trained

_BATCH = 500  # images at a time, when measuring the bound


def _model(options: VAEOptions, info: DatasetInfo) -> models.VAE:
    parts = coders(options.architecture, options.hidden_sizes, info)
    return models.VAE(options.latent_size, **parts)


def _learn(model: Any, config: Config, info: DatasetInfo) -> Learner:
    options = config.options
    return variational(
        model,
        make_optimizer(config, info),
        beta=options.beta,
        free_bits=options.free_bits,
    )


def _finish(trained: Trained, dataset: Dataset, folder: Path) -> dict[str, float]:
    from fdl import report  # imports matplotlib, which takes half a second

    model, variables = trained.model, trained.variables
    state = trained.state._replace(params=variables["params"])
    encode = jax.jit(functools.partial(model.apply, method="encode"))
    bound = jax.jit(
        functools.partial(
            importance_weighted_bound, model, samples=trained.config.options.samples
        )
    )
    images = np.asarray(dataset.test.image)
    means, bounds = [], []
    for first in range(0, len(images), _BATCH):
        part = images[first : first + _BATCH]
        unit = (part / 255).astype(np.float32)
        means.append(np.asarray(encode(variables, unit).mean))
        bounds.append(np.asarray(bound(state, part, jax.random.key(first))))
    draw_codes(trained, dataset, folder, np.concatenate(means))
    samples = _generate(trained, jax.random.key(0), Sampling(count=100))
    report.draw_images(folder / "samples", samples, columns=10)
    return {"importance_bound": float(np.concatenate(bounds).mean(dtype=np.float64))}


def _generate(trained: Trained, key: Key, sampling: Sampling) -> np.ndarray:
    shape = (sampling.count, trained.model.latent_size)
    return decoder_of(trained)(jax.random.normal(key, shape))


def _parts(trained: Trained) -> Mapping[str, ExportedModel]:
    model, params = trained.model, trained.variables["params"]
    image = np.zeros((1, *trained.info.input_shape), np.float32)
    z = np.zeros((1, model.latent_size), np.float32)
    return {
        "vae": ExportedModel(model, {"params": params}, (image, z)),
        "decoder": ExportedModel(model.decoder, {"params": params["decoder"]}, (z,)),
    }


vae = Task(
    **vars(describe("vae")),
    make_model=_model,
    learn=_learn,
    prepare=lambda dataset, config: binarize(dataset),
    finish=_finish,
    parts=_parts,
    generate=_generate,
)

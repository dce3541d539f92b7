"""The variational autoencoder on binarized digits."""

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from fdl import models
from fdl.arrays import Key, Number
from fdl.data import Dataset, DatasetInfo, binarize
from fdl.learner import Learner
from fdl.learners import importance_weighted_bound, variational
from fdl.tasks.coding import Architecture, coders, decoder_of, draw_codes
from fdl.tasks.config import Config
from fdl.tasks.optimizers import make_optimizer
from fdl.tasks.task import ExportedModel, Sampling, Task, Trained

_BATCH = 500  # images at a time, when the bound is measured


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of the variational autoencoder.

    Attributes:
        architecture: `dense` or `conv`.
        hidden_sizes: Widths of the encoder's dense layers; the decoder has them the
            other way round. Convolutional ones have sizes of their own.
        latent_size: Number of latents.
        beta: Weight of the divergence from the prior; 1 for the bound itself.
        free_bits: Nats of each latent that cost nothing.
        samples: Draws for each image in the importance-weighted bound that is measured
            at the end.
    """

    architecture: Architecture = "dense"
    hidden_sizes: tuple[int, ...] = (400, 400)
    latent_size: int = 20
    beta: Number = 1.0
    free_bits: Number = 0.0
    samples: int = 500


def _model(options: Options, info: DatasetInfo) -> models.VAE:
    parts = coders(options.architecture, options.hidden_sizes, info)
    return models.VAE(options.latent_size, **parts)


def _learn(model: models.VAE, config: Config, info: DatasetInfo) -> Learner:
    options = config.options
    return variational(
        model,
        make_optimizer(config, info),
        beta=options.beta,
        free_bits=options.free_bits,
    )


def _finish(trained: Trained, dataset: Dataset, folder: Path) -> dict[str, float]:
    from fdl import report  # matplotlib takes half a second, wanted only here

    model, state = trained.model, trained.state
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
        means.append(np.asarray(encode({"params": state.params}, unit).mean))
        bounds.append(np.asarray(bound(state, part, jax.random.key(first))))
    draw_codes(trained, dataset, folder, np.concatenate(means))
    samples = _generate(trained, jax.random.key(0), Sampling(count=100))
    report.draw_images(folder / "samples.png", samples, columns=10)
    return {"importance_bound": float(np.concatenate(bounds).mean(dtype=np.float64))}


def _generate(trained: Trained, key: Key, sampling: Sampling) -> np.ndarray:
    shape = (sampling.count, trained.model.latent_size)
    return decoder_of(trained)(jax.random.normal(key, shape))


def _parts(trained: Trained) -> Mapping[str, ExportedModel]:
    model, params = trained.model, trained.state.params
    image = np.zeros((1, *trained.info.input_shape), np.float32)
    z = np.zeros((1, model.latent_size), np.float32)
    return {
        "vae": ExportedModel(model, {"params": params}, (image, z)),
        "decoder": ExportedModel(model.decoder, {"params": params["decoder"]}, (z,)),
    }


vae = Task(
    name="vae",
    title="variational autoencoder of images binarized once, 973,624 parameters",
    paper="Kingma & Welling, 2014, Auto-encoding variational Bayes",
    epochs=(30, 100),
    batch_size=100,
    learning_rates={"one-cycle": 1e-3, "constant": 1e-3},
    metric="elbo",
    mode="max",
    make_model=_model,
    learn=_learn,
    options=Options(),
    prepare=lambda dataset, config: binarize(dataset),
    finish=_finish,
    predicts="images",
    parts=_parts,
    generates="images",
    generate=_generate,
)

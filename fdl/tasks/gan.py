"""Generative adversarial networks for digits, from one layer to DCGAN."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from fdl.arrays import Key
from fdl.data import Dataset, DatasetInfo
from fdl.learner import Learner
from fdl.learners import adversarial
from fdl.losses import ADVERSARIAL
from fdl.models import (
    DCGANDiscriminator,
    DCGANGenerator,
    DenseDiscriminator,
    DenseGenerator,
)
from fdl.tasks.catalog import describe
from fdl.tasks.config import Config
from fdl.tasks.generated import measure_generated
from fdl.tasks.optimizers import make_optimizer
from fdl.tasks.options import GANOptions
from fdl.tasks.task import ExportedModel, Sampling, Task, Trained
from fdl.train import predict

_SHOWN = 64  # images in a picture


class GAN(NamedTuple):
    """The two models of a run."""

    generator: Any
    discriminator: Any


def _make_models(options: GANOptions, info: DatasetInfo) -> GAN:
    height, width, channels = info.input_shape
    shape = height, width, channels
    if options.architecture == "dense":
        return GAN(DenseGenerator(shape), DenseDiscriminator())
    wide = 2 * options.width
    return GAN(
        DCGANGenerator(shape, features=(wide, options.width)),
        DCGANDiscriminator((options.width, wide), options.dropout_rate),
    )


def _learn(models: GAN, config: Config, info: DatasetInfo) -> Learner:
    options = config.options
    # Momentum as in DCGAN; none for a critic, as in Gulrajani et al.
    critic = options.loss == "wasserstein_gp"
    beta_1, beta_2 = (0.0, 0.9) if critic else (0.5, 0.999)
    optimizer = make_optimizer(config, info, beta_1=beta_1, beta_2=beta_2)
    return adversarial(
        models.generator,
        models.discriminator,
        ADVERSARIAL[options.loss],
        optimizer,
        optimizer,
        latent_size=options.latent_size,
        discriminator_steps=options.discriminator_steps,
        ema_decay=options.ema_decay,
    )


def _sample(
    trained: Trained, key: Key, count: int
) -> Float[np.ndarray, "count height width channels"]:
    shape = (count, trained.config.options.latent_size)
    latent = np.asarray(jax.random.normal(key, shape))
    return np.asarray(predict(trained.learner, trained.state, latent))


def _generate(trained: Trained, key: Key, sampling: Sampling) -> Any:
    return _sample(trained, key, sampling.count)


def _draw(trained: Trained, dataset: Dataset, folder: Path, epoch: int) -> None:
    """Draw the images of the same latents after each epoch."""
    from fdl import report  # imports matplotlib, which takes half a second

    pictures = folder / "samples"
    pictures.mkdir(exist_ok=True)
    images = _sample(trained, jax.random.key(0), _SHOWN)
    report.draw_images(pictures / f"epoch-{epoch:03}.png", images)


def _finish(trained: Trained, dataset: Dataset, folder: Path) -> dict[str, float]:
    """Animate the images of all epochs; measure as many images as the test set has."""
    from fdl import report  # imports matplotlib, which takes half a second

    pictures = sorted((folder / "samples").glob("epoch-*.png"))
    if pictures:
        report.draw_animation(folder / "samples.gif", pictures)
    test = np.asarray(dataset.test.image)
    images = _sample(trained, jax.random.key(1), len(test))
    report.draw_images(folder / "samples", images[:_SHOWN])
    return measure_generated(dataset, images)


def _parts(trained: Trained) -> dict[str, ExportedModel]:
    """Return both models, for pixels in [-1, 1]; the generator is the averaged one."""
    state, info = trained.state, trained.info
    latent = np.zeros((1, trained.config.options.latent_size), np.float32)
    image = np.zeros((1, *info.input_shape), np.float32)
    average = state.extra["average"]
    generator = {"params": average["params"], **average["model_state"]}
    discriminator = {
        "params": state.params["discriminator"],
        **state.model_state["discriminator"],
    }
    some = lambda variables: {name: each for name, each in variables.items() if each}
    return {
        "generator": ExportedModel(trained.model.generator, some(generator), (latent,)),
        "discriminator": ExportedModel(
            trained.model.discriminator, some(discriminator), (image,)
        ),
    }


gan = Task(
    **vars(describe("gan")),
    make_model=_make_models,
    learn=_learn,
    draw=_draw,
    finish=_finish,
    parts=_parts,
    generate=_generate,
)

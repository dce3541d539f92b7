"""Loss of the tutorial's CNN at every step, in Keras and in fdl.

    python -m bench.loss_curve [--data-dir DIR]

Both train for an epoch on the first 10,000 images of MNIST, in order, in batches of 64,
from Keras' initial weights. In double precision, three optimizers of `fdl.keras` are
compared, and those of the same name in optax. In single precision, Adam is compared,
with Keras compiled by XLA as a control. Nothing is selected or evaluated: all losses
are training losses. Writes loss_curve.json and plots to bench/results/loss_curve.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
import tyro

import fdl
from fdl.runs.environment import made_with

FOLDER = Path(__file__).parent / "results" / "loss_curve"
IMAGES, BATCH = 10_000, 64

# Keras on TensorFlow rounds options to float32 even if it computes in float64, so its
# defaults are passed as rounded to float32.
_RATE, _MOST, _ALL, _EPSILON, _DECAY = (
    float(np.float32(option)) for option in (1e-3, 0.9, 0.999, 1e-7, 0.004)
)
_ADAM = {"learning_rate": _RATE, "beta_1": _MOST, "beta_2": _ALL, "epsilon": _EPSILON}

# For each name: Keras' options, and the functions of fdl.keras and optax.
OPTIMIZERS: dict[str, tuple[dict[str, float], Callable, Callable]] = {
    "Adam": (
        _ADAM,
        fdl.keras.adam,
        lambda **options: optax.adam(_RATE, _MOST, _ALL, **options),
    ),
    "AdamW": (
        {**_ADAM, "weight_decay": _DECAY},
        fdl.keras.adamw,
        lambda **options: optax.adamw(
            _RATE, _MOST, _ALL, weight_decay=_DECAY, **options
        ),
    ),
    "RMSprop": (
        {"learning_rate": _RATE, "rho": _MOST, "epsilon": _EPSILON},
        fdl.keras.rmsprop,
        lambda **options: optax.rmsprop(_RATE, _MOST, **options),
    ),
}
SIDES = {
    "fdl.keras": "fdl.keras",
    "optax, its epsilon": "optax, with its own epsilon of 1e-8",
    "optax, Keras' epsilon": "optax, with Keras' epsilon of 1e-7",
}

Losses = list[float]


def batches(images: int, data: fdl.Batch, precision: str) -> Iterator[fdl.Batch]:
    """Yield the batches of an epoch in order, with pixels in [0, 1]."""
    for start in range(0, images, BATCH):
        rows = slice(start, min(start + BATCH, images))
        image = data.image[rows].astype(np.float32) / 255
        yield fdl.Batch(image.astype(precision), data.label[rows])


def keras_losses(
    epoch: list[fdl.Batch], optimizer: str, options: dict[str, float], *, compiled: bool
) -> tuple[Any, Losses]:
    """Return the initial weights, in fdl's form, and Keras' loss at every step."""
    import keras

    precision = epoch[0].image.dtype.name
    keras.config.set_floatx(precision)
    keras.config.set_dtype_policy(precision)
    keras.utils.set_random_seed(0)
    twin = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(32, (3, 3), activation="relu"),
            keras.layers.MaxPooling2D((2, 2)),
            keras.layers.Conv2D(64, (3, 3), activation="relu"),
            keras.layers.MaxPooling2D((2, 2)),
            keras.layers.Conv2D(64, (3, 3), activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    start = fdl.keras.from_keras(fdl.models.CNN(10), twin)
    twin.compile(
        optimizer=getattr(keras.optimizers, optimizer)(**options),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=compiled,
    )
    losses = []
    for batch in epoch:
        twin.reset_metrics()  # otherwise Keras averages over batches
        losses.append(float(twin.train_on_batch(batch.image, batch.label)))
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    return start, losses


def fdl_losses(epoch: list[fdl.Batch], optimizer: Any, start: Any) -> Losses:
    """Return fdl's loss at every step, from initial weights."""
    with jax.enable_x64(epoch[0].image.dtype == np.float64):
        learner = fdl.learners.supervised(
            fdl.models.CNN(10), fdl.losses.cross_entropy, optimizer
        )
        params = start["params"]
        state = learner.init(jax.random.key(0), epoch[0])
        state = state._replace(params=params, opt_state=optimizer.init(params))
        step = jax.jit(learner.step)
        losses = []
        for batch in epoch:
            state, metrics = step(state, batch)
            losses.append(fdl.metrics.compute(metrics)["loss"])
    return losses


def measure(data: fdl.Batch, images: int = IMAGES) -> dict[str, dict[str, Losses]]:
    """Return losses by comparison and side; Keras is the reference."""
    found = {}
    epoch = list(batches(images, data, "float64"))
    for name, (options, ours, plain) in OPTIMIZERS.items():
        start, losses = keras_losses(epoch, name, options, compiled=False)
        found[f"float64 {name}"] = {
            "Keras": losses,
            "fdl.keras": fdl_losses(epoch, ours(**options), start),
            "optax, its epsilon": fdl_losses(epoch, plain(), start),
            "optax, Keras' epsilon": fdl_losses(epoch, plain(eps=_EPSILON), start),
        }
    epoch = list(batches(images, data, "float32"))
    start, losses = keras_losses(epoch, "Adam", _ADAM, compiled=False)
    found["float32 Adam"] = {
        "Keras": losses,
        "Keras, compiled": keras_losses(epoch, "Adam", _ADAM, compiled=True)[1],
        "fdl.keras": fdl_losses(epoch, fdl.keras.adam(**_ADAM), start),
    }
    return found


def difference(losses: dict[str, Losses], side: str) -> np.ndarray:
    """Return the relative difference from Keras' loss at every step."""
    wanted = np.asarray(losses["Keras"])
    return np.abs(np.asarray(losses[side]) - wanted) / wanted


def draw(found: dict[str, dict[str, Losses]]) -> None:
    """Plot the losses and their differences, overall and by optimizer."""
    from matplotlib.figure import Figure

    double, single = found["float64 Adam"], found["float32 Adam"]
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(double["Keras"], color="0.8", linewidth=5, label="Keras")
    left.plot(double["fdl.keras"], color="C0", linewidth=1, label="fdl")
    left.set(xlabel="step", title="loss, one epoch of 10,000 digits, Adam")
    left.legend()
    for losses, side, label, color in (
        (single, "Keras, compiled", "float32: Keras compiled by XLA", "0.6"),
        (single, "fdl.keras", "float32: fdl", "C1"),
        (double, "fdl.keras", "float64: fdl", "C0"),
    ):
        # Losses are stored in float32, which cannot resolve smaller differences.
        shown = np.maximum(difference(losses, side), 1e-8)
        right.semilogy(shown, color=color, linewidth=1, label=label)
    right.axhline(1e-3, color="k", linewidth=0.5, linestyle=":")
    right.set(xlabel="step", title="relative difference to Keras' loss")
    right.legend()
    figure.savefig(FOLDER / "loss.png", dpi=120)

    figure = Figure(figsize=(10, 3.5), layout="constrained")
    row = figure.subplots(1, len(OPTIMIZERS), sharey=True)
    for axes, name in zip(row, OPTIMIZERS, strict=True):
        for side, color in zip(reversed(SIDES), ("C3", "C1", "C0"), strict=True):
            shown = np.maximum(difference(found[f"float64 {name}"], side), 1e-8)
            axes.semilogy(shown, color=color, linewidth=1, label=SIDES[side])
        axes.set(xlabel="step", title=f"{name}, float64")
    row[0].set_ylabel("relative difference to Keras' loss")
    lines, labels = row[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=3)
    figure.savefig(FOLDER / "optimizers.png", dpi=120)


def main(data_dir: Path | None = None) -> None:
    """Measure, write and plot the results.

    Args:
        data_dir: Folder of the original data files.
    """
    mnist = fdl.data.load("mnist", data_dir=data_dir, validation=None)
    found = measure(mnist.train)
    FOLDER.mkdir(parents=True, exist_ok=True)
    content = {
        "command": "python -m bench.loss_curve",
        "largest": {
            name: {
                side: float(difference(losses, side).max())
                for side in losses
                if side != "Keras"
            }
            for name, losses in found.items()
        },
        **made_with("keras", "tensorflow-cpu"),
        "losses": found,
    }
    (FOLDER / "loss_curve.json").write_text(json.dumps(content, indent=1) + "\n")
    draw(found)
    print(json.dumps(content["largest"], indent=1))


if __name__ == "__main__":
    tyro.cli(main)

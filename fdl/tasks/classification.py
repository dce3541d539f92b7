"""What all classification tasks share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from fdl import metrics
from fdl.arrays import Array, is_on, unit_scale
from fdl.data import Dataset, DatasetInfo
from fdl.learner import Learner
from fdl.learners import supervised
from fdl.learners.supervised import Loss
from fdl.losses import cross_entropy
from fdl.tasks.config import Config
from fdl.tasks.optimizers import make_optimizer
from fdl.tasks.task import Trained
from fdl.train import predict


def classify(
    model: Any,
    config: Config,
    info: DatasetInfo,
    *,
    preprocess: Callable[[Array], Array] = unit_scale,
) -> Learner:
    """Return a learner that trains a model by cross entropy.

    `preprocess` makes the model's inputs of 8-bit images.
    """
    optimizer = make_optimizer(config, info)
    return descend_on_settings(
        lambda loss: supervised(
            model,
            loss,
            optimizer,
            metrics={"accuracy": metrics.accuracy},
            preprocess=preprocess,
        ),
        config,
    )


def descend_on_settings(make: Callable[[Loss], Learner], config: Config) -> Learner:
    """Return a classifier's learner with the training loss that settings ask for.

    Label smoothing and class weights are for training alone: what is measured
    afterwards is the plain cross entropy, so that runs can be compared.

    Args:
        make: From a loss to the learner, which predicts probabilities.
        config: The settings.
    """
    learner = make(cross_entropy)
    smoothing, weights = config.label_smoothing, config.class_weights
    if not is_on(smoothing) and not weights:
        return learner
    if isinstance(weights, str) and weights:
        raise ValueError(
            f"class_weights={weights!r} must be numbers by now: use with_class_weights."
        )

    def loss(logits: Array, label: Array) -> Array:
        losses = cross_entropy(logits, label, label_smoothing=smoothing)
        return losses * jnp.asarray(weights)[label] if weights else losses

    return learner._replace(step=make(loss).step)


def draw_mistakes(trained: Trained, dataset: Dataset, folder: Path) -> dict[str, float]:
    """Write `confusion.png`, which shows what a classifier takes for what."""
    from fdl import report  # matplotlib takes half a second, wanted only here

    info = trained.info
    output = predict(trained.learner, trained.state, dataset.test.image)
    counts = metrics.confusion_matrix(
        np.asarray(dataset.test.label), output.argmax(axis=-1), info.num_classes
    )
    report.draw_confusion(
        folder / "confusion.png",
        counts,
        info.class_names,
        title=f"{trained.config.task}-{info.name}: {info.test_count:,} test images",
    )
    return {}

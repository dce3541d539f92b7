"""What all classification tasks share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from fdl.arrays import Array, unit_scale
from fdl.data import Dataset, DatasetInfo, short_name
from fdl.learner import Learner
from fdl.learners import supervised
from fdl.losses import cross_entropy
from fdl.metrics import confusion_matrix
from fdl.tasks.config import Config
from fdl.tasks.optimizers import make_optimizer
from fdl.tasks.task import Trained
from fdl.train import predict


def classify(
    model: Any,
    config: Config,
    info: DatasetInfo,
    *,
    preprocess: Callable[[Array], Array] | None = None,
) -> Learner:
    """Return a learner that trains a model by cross entropy.

    `preprocess` makes the model's inputs of what the data are; by default, 8-bit pixels
    become numbers in [0, 1], and vectors are standardized.
    """
    if preprocess is None:
        preprocess = standardized(info) if info.kind == "vector" else unit_scale
    return supervised(
        model, cross_entropy, make_optimizer(config, info), preprocess=preprocess
    )


def standardized(info: DatasetInfo) -> Callable[[Array], Array]:
    """Return what gives each number of vectors the mean 0 and the deviation 1.

    Example:
        >>> import fdl.data
        >>> data = fdl.data.from_arrays(np.eye(6)[:, :2] * 8, [0, 1] * 3)
        >>> x = standardized(data.info)(data.train.image)
        >>> [round(float(value), 3) for value in (x.mean(), x.std())]
        [0.0, 1.0]
    """
    (features,) = info.input_shape
    mean, deviation = (
        np.array([values[:features]], np.float32)
        for values in (info.means, info.deviations)
    )
    return lambda x: (jnp.asarray(x, jnp.float32) - mean) / deviation


def draw_mistakes(trained: Trained, dataset: Dataset, folder: Path) -> dict[str, float]:
    """Write `confusion.png`, which shows what a classifier takes for what."""
    from fdl import report  # matplotlib takes half a second, wanted only here

    info = trained.info
    name = f"{trained.config.task}-{short_name(info.name)}"
    output = predict(trained.learner, trained.state, dataset.test.image)
    counts = confusion_matrix(
        np.asarray(dataset.test.label), output.argmax(axis=-1), info.num_classes
    )
    report.draw_confusion(
        folder / "confusion.png",
        counts,
        info.class_names,
        title=f"{name}: {info.test_count:,} test images",
    )
    return {}

"""What all classification tasks share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

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

    `preprocess` makes the model's inputs of 8-bit images or vectors; None for numbers
    in [0, 1], or standardized features.
    """
    return supervised(
        model,
        cross_entropy,
        make_optimizer(config, info),
        preprocess=preprocess or prepared_inputs(info),
    )


def prepared_inputs(info: DatasetInfo) -> Callable[[Array], Array]:
    """Return what makes numbers of about 1 of a data set's inputs.

    Example:
        >>> import fdl.data
        >>> info = fdl.data.load("mnist-5k").info._replace(means=(3.0,), scales=(2.0,))
        >>> prepared_inputs(info)(np.float32([[1.0], [5.0]])).tolist()
        [[-1.0], [1.0]]
    """
    if not info.means:
        return unit_scale
    means = np.array([info.means], np.float32)
    scales = np.array([info.scales], np.float32)
    return lambda x: (x - means) / scales


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

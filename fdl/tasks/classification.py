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
    preprocess: Callable[[Array], Array] = unit_scale,
) -> Learner:
    """Return a learner that trains a model by cross entropy.

    `preprocess` makes the model's inputs of 8-bit images.
    """
    return supervised(
        model, cross_entropy, make_optimizer(config, info), preprocess=preprocess
    )


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

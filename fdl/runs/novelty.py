"""What a run keeps to tell images that are unlike those that it was trained on."""

from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from fdl.arrays import Batch
from fdl.data import Dataset, NoveltyDetector, novelty_detector
from fdl.files import write_whole
from fdl.runs.errors import RunError
from fdl.tasks import Task

RATE = 0.01
"""Share of the images held out that are called unlike the training images."""


def keep_detector(folder: Path, task: Task, dataset: Dataset) -> dict[str, Any]:
    """Write `novelty.safetensors`; return what `result.json` says of it.

    Returns:
        Nothing if the task does not tell classes of images, or too few are held out to
        set a threshold by.
    """
    train, held_out = dataset.train, dataset.validation
    if task.predicts != "classes" or not isinstance(held_out, Batch):
        return {}
    if dataset.info.kind != "image":
        return {}
    if len(held_out.image) * RATE < 1:
        return {}
    images = (np.asarray(part.image) for part in (train, held_out))
    detector = novelty_detector(*images, false_alarm_rate=RATE)
    # In order, since safetensors writes memory as it lies.
    arrays = {k: np.array(x, order="C") for k, x in detector._asdict().items()}
    write_whole(folder / "novelty.safetensors", save(arrays))
    return {
        "novelty": {
            "score": "Mahalanobis distance by probabilistic principal components",
            "components": len(detector.variances),
            "threshold": detector.threshold,
            "false_alarm_rate": RATE,
            "held_out": len(held_out.image),
        }
    }


def load_detector(folder: Path) -> NoveltyDetector | None:
    """Return the detector of a run; None if it has none.

    Raises:
        RunError: If its file is damaged.
    """
    file = folder / "novelty.safetensors"
    if not file.is_file():
        return None
    try:
        arrays = load_file(file)
        numbers = ("noise", "threshold", "false_alarm_rate")
        values: dict[str, Any] = {
            name: float(array) if name in numbers else array
            for name, array in arrays.items()
        }
        detector = NoveltyDetector(**values)
        right = detector.components.shape == (
            *detector.variances.shape,
            *detector.mean.shape,
        )
    except (SafetensorError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{file} is damaged: {error}") from error
    if not right:
        raise RunError(f"{file} is damaged: its arrays do not go together.")
    return detector

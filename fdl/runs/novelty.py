"""A run's detector of images that are unlike its training images."""

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fdl.arrays import Batch
from fdl.data import Dataset, NoveltyDetector, novelty_detector
from fdl.runs.errors import RunError
from fdl.runs.seal import read_sealed, write_sealed
from fdl.tasks import Task
from fdl.weights import Declared, WeightsError, require_finite

RATE = 0.01
"""Share of the held-out images that count as unlike the training images."""

_NUMBERS = ("noise", "threshold", "false_alarm_rate")
_MOST_NUMBERS = 1 << 24  # in all components; images of 1,024 pixels have a million


def keep_detector(folder: Path, task: Task, dataset: Dataset) -> dict[str, Any]:
    """Write `novelty.safetensors`; return its entry in `result.json`.

    Returns:
        An empty dictionary if the task does not classify images, or too few are held
        out to set a threshold.
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
    write_sealed(folder / "novelty.safetensors", detector._asdict())
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
        arrays = read_sealed(file, functools.partial(_require_detector, file))
        require_finite(arrays, file)
    except WeightsError as error:
        raise RunError(f"{error} Delete it to predict without warnings.") from error
    values: dict[str, Any] = {
        name: float(array) if name in _NUMBERS else array
        for name, array in arrays.items()
    }
    return NoveltyDetector(**values)


def _require_detector(file: Path, arrays: Mapping[str, Declared]) -> None:
    """Raise WeightsError unless arrays are those of a detector."""
    if arrays.keys() != set(NoveltyDetector._fields):
        raise WeightsError(
            f"{file} is damaged: its arrays are not those of a detector."
        )
    components = arrays["components"].shape
    shapes = {"mean": components[1:], "variances": components[:1]} | dict.fromkeys(
        _NUMBERS, ()
    )
    if len(components) != 2 or any(arrays[k].shape != shapes[k] for k in shapes):
        raise WeightsError(f"{file} is damaged: the shapes of its arrays do not match.")
    if math.prod(components) > _MOST_NUMBERS:
        raise WeightsError(f"{file} is damaged: it has {components} components.")

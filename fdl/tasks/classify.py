"""The user's own classifier, or a model of `fdl.models` without a task."""

from typing import Any

from fdl.arrays import unit_scale
from fdl.data import DatasetInfo
from fdl.keras.graph.model import KerasModel
from fdl.learner import Learner
from fdl.models.backbone import preprocess
from fdl.tasks.catalog import describe
from fdl.tasks.classification import classify as learn_classes
from fdl.tasks.classification import draw_mistakes
from fdl.tasks.config import Config
from fdl.tasks.task import Task


def _learn(model: Any, config: Config, info: DatasetInfo) -> Learner:
    """Return the learner, which scales pixels as the model expects them.

    That is as its published weights do, or from 0 to 255 if a Keras model rescales them
    itself.
    """
    mode: Any = getattr(model, "preprocessing", None)
    photograph = lambda image: 255 * unit_scale(image)
    prepared = None
    if info.kind == "image" and mode in ("caffe", "tf", "torch"):
        prepared = lambda image: preprocess(photograph(image), mode)
    elif info.kind == "image" and isinstance(model, KerasModel):
        prepared = photograph if model.graph.rescales else None
    return learn_classes(model, config, info, preprocess=prepared)


classify = Task(
    **vars(describe("classify")),
    make_model=lambda options, info: None,
    learn=_learn,
    finish=draw_mistakes,
)

"""The user's own classifier, or a model of `fdl.models` without a task."""

from typing import Any

from fdl.arrays import unit_scale
from fdl.data import DatasetInfo
from fdl.learner import Learner
from fdl.models.backbone import preprocess
from fdl.tasks.catalog import describe
from fdl.tasks.classification import classify as learn_classes
from fdl.tasks.classification import draw_mistakes
from fdl.tasks.config import Config
from fdl.tasks.task import Task


def _learn(model: Any, config: Config, info: DatasetInfo) -> Learner:
    """Return the learner, which prepares pixels for the model's published weights."""
    mode: Any = getattr(model, "preprocessing", None)
    if info.kind != "image" or mode not in ("caffe", "tf", "torch"):
        return learn_classes(model, config, info)
    prepared = lambda image: preprocess(255 * unit_scale(image), mode)
    return learn_classes(model, config, info, preprocess=prepared)


classify = Task(
    **vars(describe("classify")),
    make_model=lambda options, info: None,
    learn=_learn,
    finish=draw_mistakes,
)

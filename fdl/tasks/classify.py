"""A classifier of the user's own, or one of `fdl.models` that no task trains."""

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
    """Return the learner, which gives pixels as weights published for a model want."""
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

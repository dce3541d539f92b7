"""The user's own classifier, or a model of `fdl.models` without a task."""

from collections.abc import Callable
from typing import Any

from fdl.arrays import Array, unit_scale
from fdl.data import DatasetInfo
from fdl.keras.graph.model import KerasModel
from fdl.learner import Learner
from fdl.models.backbone import preprocess
from fdl.tasks.catalog import describe
from fdl.tasks.classification import classify as learn_classes
from fdl.tasks.classification import draw_mistakes
from fdl.tasks.config import Config
from fdl.tasks.inputs import inputs_of
from fdl.tasks.task import Task


def _inputs(model: Any, config: Config, info: DatasetInfo) -> Callable[[Array], Array]:
    """Return the function that scales pixels as the model expects them.

    That is as its published weights do, or from 0 to 255 if a Keras model rescales them
    itself.
    """
    mode: Any = getattr(model, "preprocessing", None)
    photograph = lambda image: 255 * unit_scale(image)
    if info.kind == "image" and mode in ("caffe", "tf", "torch"):
        return lambda image: preprocess(photograph(image), mode)
    if info.kind == "image" and isinstance(model, KerasModel) and model.graph.rescales:
        return photograph
    return inputs_of(info)


def _learn(model: Any, config: Config, info: DatasetInfo) -> Learner:
    prepared = _inputs(model, config, info)
    return learn_classes(model, config, info, preprocess=prepared)


classify = Task(
    **vars(describe("classify")),
    make_model=lambda options, info: None,
    inputs=_inputs,
    learn=_learn,
    finish=draw_mistakes,
)

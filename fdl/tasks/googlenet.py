"""GoogLeNet on small images: its first modules, a quarter as wide."""

from typing import Any

from fdl.data import DatasetInfo
from fdl.learner import Learner
from fdl.models import GoogLeNet
from fdl.models.googlenet import Widths
from fdl.tasks.catalog import describe
from fdl.tasks.classification import classify
from fdl.tasks.config import Config
from fdl.tasks.options import GoogLeNetOptions
from fdl.tasks.task import Task
from fdl.tasks.vision import draw_what_it_sees

_MODULES = (
    Widths("3a", 16, 24, 32, 4, 8, 8),
    Widths("3b", 32, 32, 48, 8, 24, 16),
    Widths("4a", 48, 24, 52, 4, 12, 16),
)
_AUXILIARY_WEIGHT = 0.3  # as in the paper


def _make_model(options: GoogLeNetOptions, info: DatasetInfo) -> Any:
    return GoogLeNet(
        info.num_classes,
        modules=_MODULES,
        auxiliary=("3a", "3b") if options.auxiliary else (),
        stem=(16, 16, 48),
        stem_stride=1,
        auxiliary_size=(32, 128),
        dropout_rate=options.dropout_rate,
    )


def _learn(model: Any, config: Config, info: DatasetInfo) -> Learner:
    heads = len(model.auxiliary)
    weights = (1.0, *(_AUXILIARY_WEIGHT,) * heads) if heads else None
    return classify(model, config, info, loss_weights=weights)


googlenet = Task(
    **vars(describe("googlenet")),
    make_model=_make_model,
    learn=_learn,
    finish=draw_what_it_sees,
)

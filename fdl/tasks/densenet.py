"""The densely connected network for small images."""

import dataclasses

from fdl.data import DatasetInfo
from fdl.models import CIFARDenseNet, DenseNet
from fdl.tasks.catalog import describe
from fdl.tasks.classification import classify
from fdl.tasks.options import DenseNetOptions
from fdl.tasks.task import Task
from fdl.tasks.vision import draw_what_it_sees


def _make_model(options: DenseNetOptions, info: DatasetInfo) -> DenseNet:
    settings = dataclasses.asdict(options)
    return CIFARDenseNet(info.num_classes, momentum=0.9, **settings)


densenet = Task(
    **vars(describe("densenet")),
    make_model=_make_model,
    learn=classify,
    finish=draw_what_it_sees,
)

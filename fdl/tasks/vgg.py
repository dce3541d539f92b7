"""VGG, small enough for digits, with normalization."""

import dataclasses

from fdl.data import DatasetInfo
from fdl.models import VGG
from fdl.tasks.catalog import describe
from fdl.tasks.classification import classify
from fdl.tasks.options import VGGOptions
from fdl.tasks.task import Task
from fdl.tasks.vision import draw_what_it_sees


def _make_model(options: VGGOptions, info: DatasetInfo) -> VGG:
    settings = dataclasses.asdict(options)
    return VGG(info.num_classes, momentum=0.9, **settings)


vgg = Task(
    **vars(describe("vgg")),
    make_model=_make_model,
    learn=classify,
    finish=draw_what_it_sees,
)

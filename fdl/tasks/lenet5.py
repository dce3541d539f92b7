"""LeNet-5 on digits, padded to 32 pixels if they are smaller."""

import functools
from typing import Any

from fdl.data import DatasetInfo
from fdl.models import LeNet5
from fdl.tasks.catalog import describe
from fdl.tasks.classification import classify
from fdl.tasks.options import LeNet5Options
from fdl.tasks.task import Task
from fdl.tasks.vision import draw_what_it_sees


def _make_model(options: LeNet5Options, info: DatasetInfo) -> Any:
    height, width, _ = info.input_shape
    border = max(0, 33 - min(height, width)) // 2
    return LeNet5(info.num_classes, modern=options.modern, border=border)


lenet5 = Task(
    **vars(describe("lenet5")),
    make_model=_make_model,
    learn=classify,
    # Its feature maps have both signs, with values as large on the background.
    finish=functools.partial(draw_what_it_sees, looks=False),
)

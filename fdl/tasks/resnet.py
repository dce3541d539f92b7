"""The residual network for small images: with pre-activation, with gates, or plain."""

from fdl.data import DatasetInfo
from fdl.models import CIFARResNet
from fdl.tasks.catalog import describe
from fdl.tasks.classification import classify
from fdl.tasks.options import ResNetOptions
from fdl.tasks.task import Task
from fdl.tasks.vision import draw_what_it_sees


def _make_model(options: ResNetOptions, info: DatasetInfo) -> CIFARResNet:
    return CIFARResNet(
        info.num_classes,
        depth=options.depth,
        width=options.width,
        shortcut=None if options.shortcut == "none" else options.shortcut,
        preactivation=options.preactivation,
        se_ratio=16 if options.se else None,
        momentum=0.9,  # Keras' 0.99 remembers the start for half of a short run
    )


resnet = Task(
    **vars(describe("resnet")),
    make_model=_make_model,
    learn=classify,
    finish=draw_what_it_sees,
)

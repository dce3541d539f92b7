"""AlexNet on small images: its first kernels are 5x5 and move by one pixel."""

from fdl.models import AlexNet
from fdl.tasks.catalog import describe
from fdl.tasks.classification import classify
from fdl.tasks.task import Task
from fdl.tasks.vision import draw_what_it_sees

alexnet = Task(
    **vars(describe("alexnet")),
    make_model=lambda options, info: AlexNet(
        info.num_classes,
        widths=options.widths,
        hidden_size=options.hidden_size,
        window=5,
        stride=1,
        border=2,
        response_norm=options.response_norm,
        dropout_rate=options.dropout_rate,
    ),
    learn=classify,
    finish=draw_what_it_sees,
)

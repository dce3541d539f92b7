"""The worked example of TensorFlow's introduction: a small CNN on digits."""

from fdl.models import CNN
from fdl.tasks.catalog import describe
from fdl.tasks.classification import classify, draw_mistakes
from fdl.tasks.task import Task

cnn = Task(
    **vars(describe("cnn")),
    make_model=lambda options, info: CNN(
        info.num_classes, options.features, options.hidden_size
    ),
    learn=classify,
    finish=draw_mistakes,
)

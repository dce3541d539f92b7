"""The first model of TensorFlow's beginner's guide: one hidden layer with dropout."""

from fdl.models import MLP
from fdl.tasks.catalog import describe
from fdl.tasks.classification import classify, draw_mistakes
from fdl.tasks.task import Task

mlp = Task(
    **vars(describe("mlp")),
    make_model=lambda options, info: MLP(
        info.num_classes, options.hidden_sizes, options.dropout_rate
    ),
    learn=classify,
    finish=draw_mistakes,
)

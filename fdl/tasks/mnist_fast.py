"""99 % of MNIST in the least time: a small network, two passes, one cycle."""

from typing import Any

from fdl.data import DatasetInfo
from fdl.keras import adam
from fdl.learner import Learner
from fdl.learners import supervised
from fdl.losses import cross_entropy
from fdl.models import FastCNN
from fdl.tasks.classification import draw_mistakes
from fdl.tasks.schedules import learning_rate
from fdl.tasks.task import Config, Task


def _learn(model: Any, config: Config, info: DatasetInfo) -> Learner:
    # So few steps leave less to average over.
    optimizer = adam(learning_rate(config, info), beta_1=0.8)
    return supervised(model, cross_entropy, optimizer)


mnist_fast = Task(
    name="mnist-fast",
    title="small convolutional network, two passes, 108,730 parameters",
    paper="LeCun et al., 1998, Gradient-based learning applied to document recognition",
    epochs={"mnist": 2, "fashion_mnist": 2, "mnist-5k": 10},
    batch_size=64,
    learning_rates={"one-cycle": 7e-3, "constant": 1e-3},
    metric="accuracy",
    make_model=lambda options, info: FastCNN(info.num_classes),
    learn=_learn,
    finish=draw_mistakes,
)

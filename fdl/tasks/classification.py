"""What all classification tasks share."""

import math
from collections.abc import Callable
from typing import Any

import optax

from fdl.data import DatasetInfo
from fdl.learner import Learner
from fdl.learners import supervised
from fdl.losses import cross_entropy
from fdl.tasks.schedules import make_schedule
from fdl.tasks.task import Config


def classifier(
    make_model: Callable[[DatasetInfo], Any],
) -> Callable[[Config, DatasetInfo], Learner]:
    """Return a `make_learner` that trains a model by cross entropy and Adam.

    Adam (Kingma & Ba, 2015, arXiv:1412.6980) runs with Keras' epsilon of 1e-7.
    """

    def make_learner(config: Config, info: DatasetInfo) -> Learner:
        steps = config.epochs * math.ceil(info.train_count / config.batch_size)
        schedule = make_schedule(config.schedule, config.learning_rate, steps)
        optimizer = optax.adam(schedule, eps=1e-7)
        return supervised(make_model(info), cross_entropy, optimizer)

    return make_learner

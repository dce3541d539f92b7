"""What all classification tasks share."""

import math
from typing import Any

from fdl.data import DatasetInfo
from fdl.keras import adam
from fdl.learner import Learner
from fdl.learners import supervised
from fdl.losses import cross_entropy
from fdl.tasks.schedules import make_schedule
from fdl.tasks.task import Config


def classify(model: Any, config: Config, info: DatasetInfo) -> Learner:
    """Return a learner that trains a model by cross entropy and Keras' Adam.

    Adam is from Kingma & Ba, 2015, arXiv:1412.6980.
    """
    steps = config.epochs * math.ceil(info.train_count / config.batch_size)
    schedule = make_schedule(config.schedule, config.learning_rate, steps)
    return supervised(model, cross_entropy, adam(schedule))

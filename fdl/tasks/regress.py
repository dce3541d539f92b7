"""Regression from rows of numbers: a multilayer perceptron and squared error."""

from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from fdl import losses, metrics
from fdl.arrays import Array
from fdl.data import Dataset, DatasetInfo, short_name
from fdl.learner import Learner
from fdl.learners import supervised
from fdl.models import MLP
from fdl.tasks.catalog import describe
from fdl.tasks.classification import projection_of
from fdl.tasks.config import Config
from fdl.tasks.inputs import inputs_of
from fdl.tasks.optimizers import make_optimizer
from fdl.tasks.options import RegressOptions
from fdl.tasks.task import Task, Trained
from fdl.train import predict


def _model(options: RegressOptions, info: DatasetInfo) -> MLP:
    return MLP(1, options.hidden_sizes, options.dropout_rate)


def _learn(model: Any, config: Config, info: DatasetInfo) -> Learner:
    mean, deviation = info.means[-1], info.deviations[-1]

    def answer(outputs: Array) -> Array:
        return outputs * deviation + mean

    def loss(outputs: Array, targets: Array) -> Array:
        standard = (jnp.asarray(targets) - mean) / deviation
        return losses.mean_squared_error(outputs, standard)

    def measure(metric: Any) -> Any:
        return lambda outputs, targets, weights=None: metric(
            answer(outputs), targets, weights
        )

    return supervised(
        model,
        loss,
        make_optimizer(config, info),
        metrics={
            "mean_absolute_error": measure(metrics.mean_absolute_error),
            "root_mean_squared_error": measure(metrics.root_mean_squared_error),
            "r2_score": measure(metrics.r2_score),
        },
        answer=answer,
        preprocess=inputs_of(info),
        project=projection_of(model),
    )


def _finish(trained: Trained, dataset: Dataset, folder: Path) -> dict[str, float]:
    """Write `predicted.png`, predictions against targets."""
    from fdl import report  # imports matplotlib, which takes half a second

    info, test = trained.info, dataset.test
    predicted = np.asarray(predict(trained.learner, trained.state, test.inputs))
    report.draw_scatter(
        folder / "predicted",
        np.concatenate([np.asarray(test.targets), predicted], axis=1),
        np.zeros(len(predicted), int),
        info.class_names,
        axes_names=(info.class_names[0], "Predicted"),
        title=f"{trained.config.task}-{short_name(info.name)}: "
        f"{len(predicted):,} test rows",
    )
    return {}


regress = Task(
    **vars(describe("regress")),
    make_model=_model,
    learn=_learn,
    finish=_finish,
)

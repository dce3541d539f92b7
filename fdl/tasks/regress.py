"""Numbers told from rows of a table, by a multilayer perceptron."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from fdl import losses, metrics
from fdl.arrays import Array, Number
from fdl.data import Dataset, DatasetInfo, short_name
from fdl.learner import Learner
from fdl.learners import supervised
from fdl.models import MLP
from fdl.tasks.classification import prepared_inputs
from fdl.tasks.config import Config
from fdl.tasks.optimizers import make_optimizer
from fdl.tasks.task import Task, Trained
from fdl.train import predict


@dataclasses.dataclass(frozen=True)
class Options:
    """What the model is like.

    Attributes:
        hidden_sizes: Widths of the hidden layers; none for linear regression.
        dropout_rate: Fraction of the hidden values dropped in training.
    """

    hidden_sizes: tuple[int, ...] = (64, 64)
    dropout_rate: Number = 0.0


def _learn(model: Any, config: Config, info: DatasetInfo) -> Learner:
    """Return a learner of standardized numbers, whose measures are in the data's."""
    mean, scale = info.target_mean, info.target_scale

    def answer(outputs: Array) -> Array:
        return outputs * scale + mean

    def loss(outputs: Array, targets: Array) -> Array:
        return losses.mean_squared_error(outputs, (targets - mean) / scale)

    return supervised(
        model,
        loss,
        make_optimizer(config, info),
        metrics={
            "mean_absolute_error": lambda outputs, targets: metrics.mean_absolute_error(
                answer(outputs), targets
            ),
            "r2_score": lambda outputs, targets: metrics.r2_score(
                answer(outputs), targets
            ),
        },
        answer=answer,
        preprocess=prepared_inputs(info),
    )


def _finish(trained: Trained, dataset: Dataset, folder: Path) -> dict[str, float]:
    """Write `predictions.png`: predicted against true numbers."""
    from fdl import report  # matplotlib takes half a second, wanted only here

    found = predict(trained.learner, trained.state, dataset.test.inputs)
    info = trained.info
    report.draw_predictions(
        folder / "predictions.png",
        np.asarray(dataset.test.targets)[:, 0],
        np.asarray(found)[:, 0],
        title=f"{trained.config.task}-{short_name(info.name)}: "
        f"{info.test_count:,} test examples",
    )
    return {}


regress = Task(
    name="regress",
    title="multilayer perceptron that predicts a number from a row of a table",
    paper="Rumelhart et al., 1986, Learning representations by back-propagating errors",
    takes=("regression",),
    dataset=None,
    epochs=(20, 60),
    batch_size=32,
    learning_rates={"constant": 1e-3, "one-cycle": 3e-3},
    metric="mean_absolute_error",
    mode="min",
    make_model=lambda options, info: MLP(
        1, hidden_sizes=options.hidden_sizes, dropout_rate=options.dropout_rate
    ),
    learn=_learn,
    options=Options(),
    finish=_finish,
)

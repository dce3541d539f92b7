"""The convolutional network for sentences."""

from pathlib import Path
from typing import Any

from fdl.data import Dataset, DatasetInfo
from fdl.keras.constraints import constrain, max_norm
from fdl.learner import Learner
from fdl.models import TextCNN
from fdl.tasks.catalog import describe
from fdl.tasks.classification import classify, draw_mistakes
from fdl.tasks.config import Config
from fdl.tasks.phrases import write_phrases
from fdl.tasks.sequence_options import TextCNNOptions
from fdl.tasks.task import Task, Trained


def _make_model(options: TextCNNOptions, info: DatasetInfo) -> TextCNN:
    return TextCNN(
        info.num_classes,
        len(info.vocabulary),
        options.features,
        options.widths,
        options.maps,
        options.dropout_rate,
    )


def _learn(model: Any, config: Config, info: DatasetInfo) -> Learner:
    limit = constrain({"head/kernel": max_norm(config.options.max_norm)})
    return classify(model, config, info, project=limit)


def _finish(trained: Trained, dataset: Dataset, folder: Path) -> dict[str, float]:
    write_phrases(trained, dataset, folder)
    return draw_mistakes(trained, dataset, folder)


textcnn = Task(
    **vars(describe("textcnn")),
    make_model=_make_model,
    learn=_learn,
    finish=_finish,
)

"""Images read as sequences by the simple recurrent network, LSTM and GRU."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from fdl.arrays import Array, unit_scale
from fdl.data import DatasetInfo
from fdl.learner import Learner
from fdl.models import GRUClassifier, LSTMClassifier, SimpleRNNClassifier
from fdl.tasks.catalog import describe
from fdl.tasks.classification import classify, draw_mistakes
from fdl.tasks.config import Config
from fdl.tasks.options import RecurrentOptions
from fdl.tasks.task import ExportedModel, Task, Trained, the_model


def rows(
    image: Shaped[Array, "*batch height width channels"],
) -> Float[Array, "*batch height features"]:
    """Return images as sequences of rows, from the top; 8-bit pixels become [0, 1].

    Example:
        >>> rows(np.zeros((2, 28, 28, 1), np.uint8)).shape
        (2, 28, 28)
    """
    x = unit_scale(image)
    return x.reshape(*x.shape[:-2], -1)


def pixels(
    image: Shaped[Array, "*batch height width channels"],
) -> Float[Array, "*batch time channels"]:
    """Return images as sequences of pixels, row by row; 8-bit pixels become [0, 1].

    Example:
        >>> pixels(np.zeros((2, 28, 28, 1), np.uint8)).shape
        (2, 784, 1)
    """
    x = unit_scale(image)
    return x.reshape(*x.shape[:-3], -1, x.shape[-1])


_READ = {"rows": rows, "pixels": pixels}


def _learn(model: Any, config: Config, info: DatasetInfo) -> Learner:
    read = _READ[config.options.steps]
    return classify(model, config, info, preprocess=read)


def _parts(trained: Trained) -> dict[str, ExportedModel]:
    read = _READ[trained.config.options.steps]
    (whole,) = the_model(trained).values()
    example = tuple(np.asarray(read(image)) for image in whole.inputs)
    return {"model": whole._replace(inputs=example)}


def _task(name: str, kind: Callable[..., Any]) -> Task:
    def make_model(options: RecurrentOptions, info: DatasetInfo) -> Any:
        settings = dataclasses.asdict(options)
        del settings["steps"]
        return kind(info.num_classes, **settings)

    return Task(
        **vars(describe(name)),
        make_model=make_model,
        learn=_learn,
        finish=draw_mistakes,
        parts=_parts,
    )


rnn = _task("rnn", SimpleRNNClassifier)
lstm = _task("lstm", LSTMClassifier)
gru = _task("gru", GRUClassifier)

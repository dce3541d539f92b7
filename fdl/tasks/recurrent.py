"""Images read as sequences by the simple recurrent network, LSTM and GRU."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Shaped

from fdl.arrays import Array, Number, unit_scale
from fdl.data import DatasetInfo
from fdl.learner import Learner
from fdl.models import GRUClassifier, LSTMClassifier, SimpleRNNClassifier
from fdl.tasks.classification import classify, draw_mistakes
from fdl.tasks.config import Config
from fdl.tasks.task import ExportedModel, Task, Trained, the_model


@dataclasses.dataclass(frozen=True)
class RecurrentOptions:
    """Settings of recurrent classifiers.

    Attributes:
        steps: What is read at each step: a row of the image, or a pixel.
        hidden_size: Width of each layer's state, at least 1.
        num_layers: Number of layers, at least 1.
        bidirectional: Read from the end to the beginning too, by layers as many again.
        dropout_rate: Fraction of each layer's outputs dropped in training, in [0, 1).
    """

    steps: Literal["rows", "pixels"] = "rows"
    hidden_size: int = 128
    num_layers: int = 1
    bidirectional: bool = False
    dropout_rate: Number = 0.0


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


def _task(name: str, kind: Callable[..., Any], title: str, paper: str) -> Task:
    def make_model(options: RecurrentOptions, info: DatasetInfo) -> Any:
        settings = dataclasses.asdict(options)
        del settings["steps"]
        return kind(info.num_classes, **settings)

    return Task(
        name=name,
        title=title,
        paper=paper,
        epochs=(5, 20),
        batch_size=64,
        learning_rates={"constant": 1e-3, "one-cycle": 3e-3},
        metric="accuracy",
        mode="max",
        make_model=make_model,
        learn=_learn,
        options=RecurrentOptions(),
        finish=draw_mistakes,
        predicts="classes",
        parts=_parts,
    )


rnn = _task(
    "rnn",
    SimpleRNNClassifier,
    "simple recurrent network that reads rows, 21,386 parameters",
    "Elman, 1990, Finding structure in time",
)
lstm = _task(
    "lstm",
    LSTMClassifier,
    "long short-term memory that reads rows, 81,674 parameters",
    "Hochreiter & Schmidhuber, 1997, Long short-term memory",
)
gru = _task(
    "gru",
    GRUClassifier,
    "gated recurrent units that read rows, 61,962 parameters",
    "Cho et al., 2014, Learning phrase representations using RNN encoder-decoder",
)

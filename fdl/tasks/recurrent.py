"""Images read as sequences by the simple recurrent network, LSTM and GRU."""

import dataclasses
import functools
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


def permuted(
    image: Shaped[Array, "*batch height width channels"], *, seed: int
) -> Float[Array, "*batch time channels"]:
    """Return images as sequences of pixels, in an order that only depends on the seed.

    Example:
        >>> image = np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1)
        >>> permuted(image, seed=0).ravel()
        array([3., 2., 1., 0.], dtype=float32)
    """
    x = pixels(image)
    drawn = np.random.default_rng(seed).random(x.shape[-2])
    return x[..., np.argsort(drawn, kind="stable"), :]


def _reading(model: Any, config: Config, info: DatasetInfo) -> Callable[[Array], Array]:
    """Return the function that turns images into sequences."""
    options = config.options
    if options.permute:
        return functools.partial(permuted, seed=options.permutation)
    return {"rows": rows, "pixels": pixels}[options.steps]


def _learn(model: Any, config: Config, info: DatasetInfo) -> Learner:
    return classify(model, config, info, preprocess=_reading(model, config, info))


def _parts(trained: Trained) -> dict[str, ExportedModel]:
    read = _reading(trained.model, trained.config, trained.info)
    (whole,) = the_model(trained).values()
    example = tuple(np.asarray(read(image)) for image in whole.inputs)
    return {"model": whole._replace(inputs=example)}


def _task(name: str, kind: Callable[..., Any]) -> Task:
    def make_model(options: RecurrentOptions, info: DatasetInfo) -> Any:
        settings = dataclasses.asdict(options)
        for name in ("steps", "permute", "permutation"):
            del settings[name]
        return kind(info.num_classes, **settings)

    return Task(
        **vars(describe(name)),
        make_model=make_model,
        inputs=_reading,
        learn=_learn,
        finish=draw_mistakes,
        parts=_parts,
    )


rnn = _task("rnn", SimpleRNNClassifier)
lstm = _task("lstm", LSTMClassifier)
gru = _task("gru", GRUClassifier)

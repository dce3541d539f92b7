"""Tasks: a model with its data, its training and its pictures, under a name."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from fdl.arrays import Array, Key, PyTree
from fdl.data import Dataset, DatasetInfo
from fdl.learner import Learner, State
from fdl.tasks.config import Config
from fdl.tasks.description import Description
from fdl.tasks.inputs import inputs_of


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """A run in memory: its settings, its model and the trained state.

    Attributes:
        config: Settings.
        info: Description of the data.
        model: Model, or a named tuple of models.
        learner: Learner that trains the model.
        state: Trained state.
    """

    config: Config
    info: DatasetInfo
    model: Any
    learner: Learner
    state: State

    @property
    def variables(self) -> dict[str, PyTree]:
        """The variables that the run predicts with, as `model.apply` takes them.

        A moving average of the parameters, if there is one, takes their place.
        """
        params = self.state.extra.get("ema", self.state.params)
        return {**self.state.variables, "params": params}


class ExportedModel(NamedTuple):
    """A model of a run with all that a summary or a file for Keras needs.

    Attributes:
        model: A Linen module.
        variables: Its variables.
        inputs: Example inputs, for shapes and types.
    """

    model: Any
    variables: PyTree
    inputs: tuple[np.ndarray, ...]


@dataclasses.dataclass(frozen=True)
class Sampling:
    """What to generate.

    Images only take the count, and music all but `top_k` and `top_p`, since its keys
    are sampled independently.

    Attributes:
        count: Number of images, texts or pieces of music, at least 1.
        prompt: Beginning of a text, or the MIDI file that music continues.
        length: Number of characters or frames after the prompt, at least 1.
        temperature: Divisor of the logits, at least 0; 0 always takes the likeliest.
        top_k: Sample only from this many of the likeliest; None for all.
        top_p: Sample only from the likeliest whose probabilities add up to this, in
            (0, 1]; None for all.
    """

    count: int = 1
    prompt: str = ""
    length: int = 500
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        """Check the count; the rest is checked when texts or music are generated."""
        if self.count < 1:
            raise ValueError(f"count={self.count} must be at least 1.")

    def require_takes(self, generates: str | None) -> None:
        """Raise ValueError for a setting that has no effect.

        Args:
            generates: What is generated, as in `Task.generates`.

        Example:
            >>> Sampling(top_k=5).require_takes("music")
            Traceback (most recent call last):
            ...
            ValueError: top_k=5 does nothing for music: leave it out.
        """
        names = [field.name for field in dataclasses.fields(self)]
        takes = {
            "images": ["count"],
            "music": ["count", "prompt", "length", "temperature"],
        }.get(str(generates), names)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value != field.default and field.name not in takes:
                raise ValueError(
                    f"{field.name}={value!r} does nothing for {generates}: leave it "
                    "out."
                )


def _inputs(model: Any, config: Config, info: DatasetInfo) -> Callable[[Array], Array]:
    return inputs_of(info)


def _as_it_is(dataset: Dataset, config: Config) -> Dataset:
    return dataset


def _as_they_are(examples: PyTree, config: Config) -> PyTree:
    return examples


def _nothing_each_epoch(
    trained: Trained, dataset: Dataset, folder: Path, epoch: int
) -> None:
    """Draw nothing."""


def _nothing_more(trained: Trained, dataset: Dataset, folder: Path) -> dict[str, float]:
    return {}


def _nothing_to_generate(trained: Trained, key: Key, sampling: Sampling) -> NoReturn:
    command = "translate" if trained.info.kind == "pair" else "predict"
    raise ValueError(
        f"task {trained.config.task!r} cannot generate; use `fdl {command}`."
    )


def the_model(trained: Trained) -> dict[str, ExportedModel]:
    """Return the only model of a run, whose inputs are shaped like its data."""
    variables = trained.variables
    dtype = np.int32 if trained.info.kind in ("text", "document") else np.float32
    example = np.zeros((1, *trained.info.input_shape), dtype)
    return {"model": ExportedModel(trained.model, variables, (example,))}


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Task(Description):
    """A model, its data, how to train it, and which pictures to draw.

    Attributes:
        make_model: `(options, info) -> model`: the model for a data set, or a named
            tuple of models.
        learn: `(model, config, info) -> learner`: the learner that trains the model.
        inputs: `(model, config, info) -> function`: what turns examples into inputs of
            the model, in the learner and in exported files.
        prepare: `(dataset, config) -> dataset`: preprocessing of the data.
        bucket: `(examples, config) -> examples`: the training or validation examples in
            the form that training takes; those of different lengths in `fdl.Buckets`.
        draw: `(trained, dataset, folder, epoch)`: draws pictures after each epoch.
        finish: `(trained, dataset, folder) -> measures`: draws pictures of the trained
            run, and returns measures on `dataset.test` beyond the learner's metrics. If
            the task's metric is one of them, sweeps select by it, with the validation
            set in place of `dataset.test`.
        parts: `trained -> models`: the models of a run by name.
        generate: `(trained, key, sampling) -> generated`: images in [0, 1], texts, or
            pieces of music as `fdl.data.write_midi` takes them.
    """

    make_model: Callable[[Any, DatasetInfo], Any]
    learn: Callable[[Any, Config, DatasetInfo], Learner]
    inputs: Callable[[Any, Config, DatasetInfo], Callable[[Array], Array]] = _inputs
    prepare: Callable[[Dataset, Config], Dataset] = _as_it_is
    bucket: Callable[[PyTree, Config], PyTree] = _as_they_are
    draw: Callable[[Trained, Dataset, Path, int], None] = _nothing_each_epoch
    finish: Callable[[Trained, Dataset, Path], dict[str, float]] = _nothing_more
    parts: Callable[[Trained], Mapping[str, ExportedModel]] = the_model
    generate: Callable[[Trained, Key, Sampling], Any] = _nothing_to_generate

"""A task: everything about a training that has a name."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from fdl.arrays import Key, PyTree
from fdl.data import Dataset, DatasetInfo
from fdl.learner import Learner, State
from fdl.tasks.config import Config
from fdl.tasks.description import Description


@dataclasses.dataclass(frozen=True, eq=False)
class Trained:
    """A run, in memory: what was trained how, and what has come of it.

    Attributes:
        config: Its settings.
        info: What its data were.
        model: Its model, or a named tuple of models.
        learner: How it learns.
        state: What it has learned.
    """

    config: Config
    info: DatasetInfo
    model: Any
    learner: Learner
    state: State

    @property
    def variables(self) -> dict[str, PyTree]:
        """The variables that the run answers with, as `model.apply` takes them.

        Where it keeps a moving average of the parameters, that is in their place.
        """
        params = self.state.extra.get("ema", self.state.params)
        return {**self.state.variables, "params": params}


class ExportedModel(NamedTuple):
    """A model of a run with all that a summary or a file for Keras takes.

    Attributes:
        model: A Linen module.
        variables: Its variables.
        inputs: An example of what it reads, for shapes and types.
    """

    model: Any
    variables: PyTree
    inputs: tuple[np.ndarray, ...]


@dataclasses.dataclass(frozen=True)
class Sampling:
    """What is to be generated.

    Images take only the count, and music all but `top_k` and `top_p`, since each of its
    keys is drawn by itself.

    Attributes:
        count: Number of images, texts or pieces of music, at least 1.
        prompt: What a text begins with; the MIDI file that music goes on from.
        length: Number of characters or frames after the prompt, at least 1.
        temperature: What scores are divided by, at least 0; 0 always takes the best.
        top_k: Choose among the best so many only; None for all.
        top_p: Choose among the best that together have this probability, in (0, 1];
            None for all.
    """

    count: int = 1
    prompt: str = ""
    length: int = 500
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        """Check the count; what texts take is checked where they are made."""
        if self.count < 1:
            raise ValueError(f"count={self.count} must be at least 1.")

    def require_takes(self, generates: str | None) -> None:
        """Raise ValueError if something is asked for that does nothing.

        Args:
            generates: What is generated, as `Task.generates` says.

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
    """Return the only model of a run, which reads inputs shaped like its data."""
    variables = trained.variables
    dtype = np.int32 if trained.info.kind in ("text", "document") else np.float32
    example = np.zeros((1, *trained.info.input_shape), dtype)
    return {"model": ExportedModel(trained.model, variables, (example,))}


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Task(Description):
    """A model, the data that it is for, how to train it, and what to show of it.

    Attributes:
        make_model: `(options, info) -> model` for a data set; several models make a
            named tuple.
        learn: `(model, config, info) -> learner`: how the model is trained.
        prepare: `(dataset, config) -> dataset`: what is done to the data beforehand.
        bucket: `(examples, config) -> examples`: the examples to train on, or to
            validate by, as training takes them: those of unlike lengths in
            `fdl.Buckets`.
        draw: `(trained, dataset, folder, epoch)`: pictures after each epoch.
        finish: `(trained, dataset, folder) -> measures`: pictures of the trained run,
            and what is measured on `dataset.test` besides the learner's metrics. If the
            metric is among it, sweeps choose with the validation part in that place.
        parts: `trained -> models`: the models of a run by name.
        generate: `(trained, key, sampling) -> images in [0, 1], texts, or pieces of
            music, as `fdl.data.write_midi` takes them.
    """

    make_model: Callable[[Any, DatasetInfo], Any]
    learn: Callable[[Any, Config, DatasetInfo], Learner]
    prepare: Callable[[Dataset, Config], Dataset] = _as_it_is
    bucket: Callable[[PyTree, Config], PyTree] = _as_they_are
    draw: Callable[[Trained, Dataset, Path, int], None] = _nothing_each_epoch
    finish: Callable[[Trained, Dataset, Path], dict[str, float]] = _nothing_more
    parts: Callable[[Trained], Mapping[str, ExportedModel]] = the_model
    generate: Callable[[Trained, Key, Sampling], Any] = _nothing_to_generate

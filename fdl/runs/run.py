"""A run: predict, evaluate, generate, export, summarize."""

import dataclasses
import functools
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fdl import data, tasks
from fdl.arrays import Array, Batch, PyTree, Seed, as_key
from fdl.plain import Predicts
from fdl.runs import exporting
from fdl.runs.novelty import load_detector
from fdl.runs.seen import load_seen, require_new
from fdl.tasks import Sampling, Task, Trained
from fdl.tasks.config import full_line
from fdl.train import Epoch, evaluate, predict


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class Run(Trained):
    """A trained run, as `fdl.load` and `fdl.runs.train` return it.

    Attributes:
        config: Its settings.
        info: Description of its data.
        model: Its model, or a named tuple of models.
        learner: Its learner.
        state: Its trained state.
        task: Its task.
        path: Its folder.
        data_dir: Folder of its data, if one was given.
        history: An `Epoch` for each pass over the data.
        result: The content of `result.json`; None for an unfinished run.
        epoch: Number of passes over the data that its weights have seen; None if
            unknown.
        trained_on: The data sets that its weights have seen, in order: those of the
            weights that it began with (`"unknown"` if nothing was recorded), and its
            own.
        newly_initialized: Names of the arrays that were initialized at random, not
            taken from these weights.
    """

    task: Task
    path: Path
    data_dir: Path | None
    history: tuple[Epoch, ...]
    result: dict[str, Any] | None
    epoch: int | None = None
    trained_on: tuple[str, ...] = ()
    newly_initialized: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return its folder, task, data set, progress and test metrics."""
        config = self.config
        epochs = (self.result or {}).get("epochs", len(self.history))
        reached = ", ".join(
            f"test {name} {value:.4g}" for name, value in self.metrics.items()
        )
        about = f"{config.task} on {config.dataset}, epoch {epochs} of {config.epochs}"
        return f"Run({str(self.path)!r}: {', '.join(filter(None, (about, reached)))})"

    @functools.cached_property
    def novelty_detector(self) -> data.NoveltyDetector | None:
        """The detector of images unlike the training images; None if there is none.

        Raises:
            RunError: If its file is damaged.
        """
        return load_detector(self.path)

    @property
    def metrics(self) -> dict[str, float]:
        """Metrics on the test set; empty for an unfinished run."""
        return {} if self.result is None else self.result["metrics"]

    def dataset(
        self, name: str | None = None, *, data_dir: Path | str | None = None
    ) -> data.Dataset:
        """Return a data set, prepared for the run.

        A data set other than its own is adapted to it: the size of pictures, classes
        and columns, which are matched by name, and the vocabulary. Nothing is held out
        of it, and if it has no test part, all of it is one.

        Args:
            name: Name of the data set; None for the one that the run was trained on.
            data_dir: Folder to search; None for that of the training, if any.

        Raises:
            DataError: If it cannot be loaded, or has other classes, or its test images
                are among those that the run's weights were trained on, in this run or
                in one that it started from.
        """
        where = self.data_dir if data_dir is None else Path(data_dir)
        other = name is not None and full_line(name) != self.config.dataset
        like = self.info if other else None
        dataset = tasks.load(self.task, self.config, name, where, like=like)
        require_alike(dataset.info, self.info)
        names = (*self.trained_on, self.config.dataset)
        require_unseen(dataset.info, names, self.path)
        if other:
            seen = load_seen(self.path)
            require_new(dataset, seen, self.path, training=False)
        return dataset

    def predict(self, inputs: PyTree, *, batch_size: int = 500) -> PyTree:
        """Return a prediction for each input; see `fdl.predict`.

        Raises:
            DataError: If the inputs are invalid, such as floating point images that are
                not in [0, 1], or differ in shape from those of the run's data.
        """
        if self.predicts == "classes" and self.info.kind in ("image", "vector"):
            _require_alike_inputs(inputs, self.info.input_shape)
        return predict(self.learner, self.state, inputs, batch_size=batch_size)

    def evaluate(
        self, examples: PyTree | None = None, *, batch_size: int = 500
    ) -> dict[str, float]:
        """Evaluate the run; see `fdl.evaluate`.

        Args:
            examples: Examples to evaluate on; None for the test set of its own data.
            batch_size: Examples per batch.
        """
        examples = self.dataset().test if examples is None else examples
        return evaluate(self.learner, self.state, examples, batch_size=batch_size)

    def generate(self, key: Seed, sampling: Sampling) -> Any:
        """Generate images in [0, 1], texts, or pieces of music.

        Args:
            key: Random key or seed.
            sampling: What to generate.

        Raises:
            ValueError: If its task cannot generate, an option does not apply to it, or
                a number is out of range.
        """
        sampling.require_takes(self.task.generates)
        return self.task.generate(self, as_key(key), sampling)

    @property
    def predicts(self) -> Predicts:
        """What it predicts for each input, see `fdl.tasks.Task`."""
        return self.task.predicts

    def export(
        self,
        path: Path | str,
        *,
        part: str | None = None,
        parameters: Literal["inside", "beside"] = "inside",
    ) -> None:
        """Export the run for other programs; the ending determines the format.

        - `NAME.stablehlo`: the function `predict`, including its handling of 8-bit
          images, for batches of any size, which JAX alone can call, on CPU, CUDA and
          TPU. `fdl.load` and `fdl predict` read it back.
        - `NAME.onnx`: the same for other runtimes, for dense, convolutional and
          recurrent models. Needs the extra `onnx`.
        - `NAME.safetensors`: the variables of a model.
        - `NAME.keras`, `NAME.weights.h5`: a model or its weights for Keras, which is
          not needed to write them. The model takes pixels in [0, 1], from 0 to 255 if
          it rescales them itself, or as its published weights need them (see
          `fdl.models.preprocess`), and returns logits.

        Args:
            path: The file, which is replaced if it exists.
            part: Name of one of several models; a function is then the model itself.
            parameters: Where a function's parameters go: `"inside"` the file, or
                `"beside"` it, as `NAME.safetensors`.

        Raises:
            ExportError: If the function depends on the size of a batch, calls back into
                Python, or cannot be written as ONNX.
            WeightsError: If Keras does not have the model's layers.
            ValueError: If no format has the ending, there is no folder for the file, or
                the run has several models and `part` is not one of them.
        """
        exporting.export(self, self.task, Path(path), part=part, parameters=parameters)

    def summary(self, *, levels: int | None = None) -> tasks.Summaries:
        """Return the layers of its models; see `fdl.summary`. Print it for a table.

        Args:
            levels: Number of levels of nested layers to show; None for all.
        """
        return tasks.summaries(self.task, self, levels)


def require_unseen(
    info: data.DatasetInfo, trained_on: Iterable[str], what: Path | str
) -> None:
    """Raise DataError if test images are among those that weights were trained on.

    Args:
        info: The data to test on.
        trained_on: Names of the data sets that the weights were trained on.
        what: The run or file of the weights, for the message.

    Raises:
        DataError: If the test images are among them.
    """
    for name in trained_on:
        if name in info.overlaps:
            raise data.DataError(
                f"the test images of {info.name} are training images of {name}, which "
                f"{what} was trained on: the result would be meaningless. Use another "
                "data set."
            )


def require_alike(found: data.DatasetInfo, own: data.DatasetInfo) -> None:
    """Raise DataError unless a run can be evaluated on data other than its own."""
    first = 1 if own.kind == "music" else 0  # pieces may have any length
    if found.input_shape[first:] != own.input_shape[first:]:
        raise data.DataError(
            f"{found.title} has inputs of shape {found.input_shape}, but the run was "
            f"trained on inputs of shape {own.input_shape}."
        )
    # Others of the same number, or in another order, would still give figures.
    for what, names, expected in (
        (
            "characters" if own.kind == "text" else "classes",
            found.class_names,
            own.class_names,
        ),
        ("features", found.columns, own.columns),
    ):
        if names != expected:
            raise data.DataError(
                f"{found.title} has the {what} {_listed(names)}, but the run was "
                f"trained on {_listed(expected)}: they must be the same."
            )


def _require_alike_inputs(inputs: PyTree, one: tuple[int, ...]) -> None:
    if not isinstance(inputs, Array):  # stored, or no array: see `fdl.predict`
        return
    shape = inputs.shape
    if tuple(shape[1:]) != tuple(one):
        remedy = " Add the axis of examples: inputs[None]." if shape == one else ""
        expected = ", ".join(map(str, ("count", *one)))
        raise data.DataError(
            f"the run takes inputs of shape ({expected}), not {shape}.{remedy}"
        )
    data.check(Batch(inputs, np.zeros(len(inputs), np.int32)))


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(map(repr, names[:12]))
    return f"{shown}, ... ({len(names)})" if len(names) > 12 else shown or "none"
